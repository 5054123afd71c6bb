package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

type subscriptionsOptions struct {
	topicsOptions
	topic string
}

// subscriptionData is one subscription as `subscriptions --json` prints it.
type subscriptionData struct {
	Topic  string      `json:"topic"` // with partition suffix
	Name   string      `json:"name"`
	Type   string      `json:"type,omitempty"`   // empty when the broker does not say
	Window int         `json:"window,omitempty"` // 0 when none is set for this subscription
	Policy *policyData `json:"policy,omitempty"` // nil when the broker does not say, as on topics that keep no messages
}

type policyData struct {
	MaxRedeliveries  uint32 `json:"max_redeliveries"`
	AckTimeoutMs     int64  `json:"ack_timeout_ms"`
	BaseRedeliveryMs int64  `json:"base_redelivery_delay_ms"`
	MaxRedeliveryMs  int64  `json:"max_redelivery_delay_ms"`
	Backoff          string `json:"backoff"`       // Fixed or Exponential
	PoisonPolicy     string `json:"poison_policy"` // Block, Drop or DeadLetter
	DeadLetterTopic  string `json:"dead_letter_topic,omitempty"`
}

func newSubscriptionsCmd(io streams) *cobra.Command {
	var opts subscriptionsOptions
	cmd := &cobra.Command{
		Use:   "subscriptions TOPIC",
		Short: "List the subscriptions of a topic with what happens to messages that are not acknowledged",
		Long: "List the subscriptions of a topic, or of all its partitions, with the failure policy: how long a message may stay\n" +
			"unacknowledged, how often it comes again and what happens to it then.",
		Example: "  danube-connect-gen subscriptions /default/events",
		Args:    exactTopic(&opts.topic),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return subscriptionsRun(ctx, io, opts)
		},
	}
	opts.addFlags(cmd)
	return cmd
}

func subscriptionsRun(ctx context.Context, io streams, opts subscriptionsOptions) error {
	list := []subscriptionData{}
	err := opts.ask(ctx, "subscriptions", func(ctx context.Context, admin *danube.Admin) error {
		found, err := admin.Subscriptions(ctx, opts.topic)
		for _, s := range found {
			list = append(list, describe(ctx, admin, s))
		}
		return cmp.Or(err, ctx.Err())
	})
	switch {
	case errors.Is(err, danube.ErrName):
		return badInput("subscriptions", errors.New(words(err)), "")
	case errors.Is(err, danube.ErrNotFound):
		return &failure{
			exit: exitFailed, code: "no_topic", what: "subscriptions", err: fmt.Errorf("there is no topic %s", opts.topic),
			mend: "see danube-connect-gen topics",
		}
	case err != nil:
		return err
	case opts.json:
		return printJSON(io.out, envelope{OK: true, Data: list})
	}
	return printSubscriptions(io.out, list)
}

// describe asks about one subscription. Topics that keep no messages have neither policy nor window, which is an error to those who ask.
func describe(ctx context.Context, admin *danube.Admin, s danube.SubscriptionInfo) subscriptionData {
	d := subscriptionData{Topic: s.Topic, Name: s.Name}
	if p, kind, err := admin.FailurePolicy(ctx, s.Topic, s.Name); err == nil {
		d.Type, d.Policy = kind.String(), policyOf(p)
	}
	if window, err := admin.Window(ctx, s.Topic, s.Name); err == nil {
		d.Window = window
	}
	return d
}

func policyOf(p danube.FailurePolicy) *policyData {
	backoff := "Exponential"
	if p.Fixed {
		backoff = "Fixed"
	}
	return &policyData{
		MaxRedeliveries:  p.MaxRedeliveries,
		AckTimeoutMs:     p.AckTimeout.Milliseconds(),
		BaseRedeliveryMs: p.BaseDelay.Milliseconds(),
		MaxRedeliveryMs:  p.MaxDelay.Milliseconds(),
		Backoff:          backoff,
		PoisonPolicy:     p.Poison.String(),
		DeadLetterTopic:  p.DeadLetterTopic,
	}
}

func printSubscriptions(out io.Writer, list []subscriptionData) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tSUBSCRIPTION\tTYPE\tWINDOW\tACK TIMEOUT\tREDELIVERIES\tTHEN")
	for _, s := range list {
		window := "default"
		if s.Window > 0 {
			window = fmt.Sprint(s.Window)
		}
		timeout, redeliveries, then, kind := "-", "-", "-", "-"
		if p := s.Policy; p != nil {
			timeout = (time.Duration(p.AckTimeoutMs) * time.Millisecond).String()
			redeliveries = fmt.Sprintf("%d, %s %v to %v", p.MaxRedeliveries, p.Backoff,
				time.Duration(p.BaseRedeliveryMs)*time.Millisecond, time.Duration(p.MaxRedeliveryMs)*time.Millisecond)
			then = p.PoisonPolicy
			if p.DeadLetterTopic != "" {
				then += " " + p.DeadLetterTopic
			}
			kind = s.Type
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Topic, s.Name, kind, window, timeout, redeliveries, then)
	}
	return w.Flush()
}
