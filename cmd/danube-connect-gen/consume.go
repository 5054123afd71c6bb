package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

type consumeOptions struct {
	clientOptions
	subscription string
	kind         string // subscription type
	count        int    // stop after so many; 0 is never
	noAck        bool
	json         bool
	pretty       bool
}

func newConsumeCmd(io streams) *cobra.Command {
	var opts consumeOptions
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Print the messages of a topic",
		Long: "Print the values of a topic's messages, one a line, and acknowledge them. A new subscription begins at the newest message.\n" +
			"A missing topic is made, so that what is published from then on is seen. Ctrl-C ends it; the exit status is 130 if --count was not\n" +
			"reached, else 0.",
		Example: "  danube-connect-gen consume /default/events --pretty\n" +
			"  danube-connect-gen consume /default/events-dlq --json --no-ack --count 10",
		Args: exactTopic(&opts.topic),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.json && opts.pretty {
				return badInput("consume", errors.New("--json and --pretty exclude each other"), "choose one")
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return consumeRun(ctx, io, opts)
		},
	}
	opts.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&opts.subscription, "subscription", "danube-connect-gen", "name of the subscription; the broker keeps its position")
	f.StringVar(&opts.kind, "type", danube.Exclusive.String(), "type of the subscription: exclusive, shared, failover or key_shared")
	f.IntVar(&opts.count, "count", 0, "stop after this many messages; 0 goes on for ever")
	f.BoolVar(&opts.noAck, "no-ack", false, "look only: the messages come again")
	f.BoolVar(&opts.pretty, "pretty", false, "print each message for people: where it is from, key, attributes, JSON indented, what is no text as a dump")
	f.BoolVar(&opts.json, "json", false, "print each message as a line of JSON with all that is known of it")
	return cmd
}

func consumeRun(ctx context.Context, s streams, opts consumeOptions) error {
	var kind danube.SubscriptionType
	if err := kind.UnmarshalText([]byte(opts.kind)); err != nil {
		return badInput("consume", fmt.Errorf("--type: %w", err), "")
	}
	client, err := opts.client("consume")
	if err != nil {
		return err
	}
	defer client.Close()
	k, err := client.NewConsumer(danube.ConsumerSettings{
		Topic: opts.topic, Subscription: opts.subscription, Name: "danube-connect-gen", Type: kind, CreateTopic: true,
	})
	if err != nil {
		return badInput("consume", err, "see danube-connect-gen consume --help")
	}
	defer k.Close()
	start := time.Now()
	n, err := opts.consume(ctx, s, k)
	if err == nil || ctx.Err() != nil {
		if unconfirmed := opts.end(k); unconfirmed != nil {
			err = unconfirmed
		}
	}
	if err == nil || n > 0 || ctx.Err() != nil {
		fmt.Fprintln(s.err, summary(n, "from "+opts.topic, time.Since(start)))
	}
	return err
}

// consume prints messages until the count or the end of ctx, and tells how many. Without a count the user's signal is the end that is
// meant; with one it comes too early.
func (o *consumeOptions) consume(ctx context.Context, s streams, k *danube.Consumer) (n int, err error) {
	var bar progress // nothing, unless messages go elsewhere
	if _, shown := terminalWidth(s.out); !shown {
		bar = *newProgress(s.err)
		defer bar.clear()
	}
	show := o.printer(s.out)
	for ; o.count == 0 || n < o.count; n++ {
		d, err := o.receive(ctx, k)
		switch {
		case ctx.Err() != nil && o.count > 0:
			return n, cancelled("consume")
		case ctx.Err() != nil:
			return n, nil
		case err != nil:
			return n, err
		}
		if err := show(d); err != nil {
			return n, &failure{exit: exitFailed, code: "failed", what: "consume", err: fmt.Errorf("print: %w", err)}
		}
		if !o.noAck {
			k.Ack(d)
		}
		bar.update(n+1, shareOf(n+1, o.count))
	}
	return n, nil
}

// receive waits for a message for ever, but not for a broker.
func (o *consumeOptions) receive(ctx context.Context, k *danube.Consumer) (d danube.Delivery, err error) {
	for {
		err = o.within(ctx, func(ctx context.Context) error {
			d, err = k.Receive(ctx)
			return err
		})
		switch {
		case errors.Is(err, errNoAnswer) && k.Health() == nil:
		case errors.Is(err, errNoAnswer):
			return d, o.unreachable("consume", k.Health())
		case err != nil && ctx.Err() == nil:
			return d, refused("consume", err)
		default:
			return d, err
		}
	}
}

// end waits for the last acknowledgements, also after a signal.
func (o *consumeOptions) end(k *danube.Consumer) error {
	if o.noAck {
		return nil
	}
	err := o.within(context.Background(), k.Flush)
	if err != nil {
		return &failure{
			exit: exitFailed, code: "failed", what: "consume", err: errors.New("the last acknowledgements were not confirmed"),
			mend: "these messages come again",
		}
	}
	return nil
}

// jsonMessage is a message as --json prints it. Value is text; what is no text is in value_base64 instead.
type jsonMessage struct {
	Topic       string            `json:"topic"`
	Partition   int               `json:"partition"` // -1 on a plain topic
	Offset      uint64            `json:"offset"`
	Key         string            `json:"key,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	PublishTime time.Time         `json:"publish_time"`
	Producer    string            `json:"producer"`
	Value       *string           `json:"value,omitempty"`
	ValueBase64 []byte            `json:"value_base64,omitempty"`
}

// printer returns what prints a message.
func (o *consumeOptions) printer(w io.Writer) func(danube.Delivery) error {
	switch {
	case o.json:
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return func(d danube.Delivery) error { return enc.Encode(asJSON(d)) }
	case o.pretty:
		return newPrettyPrinter(w).print
	}
	return func(d danube.Delivery) error {
		_, err := fmt.Fprintf(w, "%s\n", d.Payload)
		return err
	}
}

func asJSON(d danube.Delivery) jsonMessage {
	m := jsonMessage{
		Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Key: d.Key, Attributes: d.Attributes,
		PublishTime: d.PublishTime.UTC(), Producer: d.Producer,
	}
	if utf8.Valid(d.Payload) {
		text := string(d.Payload)
		m.Value = &text
	} else {
		m.ValueBase64 = d.Payload
	}
	return m
}
