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
}

func newConsumeCmd(io streams) *cobra.Command {
	var opts consumeOptions
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Print the messages of a topic",
		Long: "Print the values of a topic's messages, one a line, and acknowledge them. A new subscription begins at the newest message.\n" +
			"A missing topic is made, so that what is published from then on is seen.",
		Example: "  danube-connect-gen consume /default/events\n" +
			"  danube-connect-gen consume /default/events-dlq --json --no-ack --count 10",
		Args: exactTopic(&opts.topic),
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	for n := 0; opts.count == 0 || n < opts.count; n++ {
		d, err := opts.receive(ctx, k)
		switch {
		case ctx.Err() != nil:
			return opts.end(k)
		case err != nil:
			return err
		}
		if err := opts.print(s.out, d); err != nil {
			return &failure{exit: exitFailed, code: "failed", what: "consume", err: fmt.Errorf("print: %w", err)}
		}
		if !opts.noAck {
			k.Ack(d)
		}
	}
	return opts.end(k)
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
			return d, &failure{exit: exitFailed, code: "refused", what: "consume", err: err}
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

func (o *consumeOptions) print(w io.Writer, d danube.Delivery) error {
	if !o.json {
		_, err := fmt.Fprintf(w, "%s\n", d.Payload)
		return err
	}
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
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(m)
}
