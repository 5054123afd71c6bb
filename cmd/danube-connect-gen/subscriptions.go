package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
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
	Window uint32      `json:"window,omitempty"` // 0 when none is set for this subscription
	Policy *policyData `json:"policy,omitempty"` // nil when the broker does not say, as on topics that keep no messages
}

type policyData struct {
	MaxRedeliveries  uint32 `json:"max_redeliveries"`
	AckTimeoutMs     uint64 `json:"ack_timeout_ms"`
	BaseRedeliveryMs uint64 `json:"base_redelivery_delay_ms"`
	MaxRedeliveryMs  uint64 `json:"max_redelivery_delay_ms"`
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
	base, _ := partitionBase(opts.topic) // one partition may be asked about
	if err := danube.CheckTopic(base); err != nil {
		return badInput("subscriptions", err, "")
	}
	var list []subscriptionData
	err := opts.ask(ctx, "subscriptions", func(ctx context.Context, conn *grpc.ClientConn) error {
		names, err := partitionsOf(ctx, conn, opts.topic)
		for _, name := range names {
			if err == nil {
				list, err = appendSubscriptions(ctx, conn, list, name)
			}
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case list == nil:
		return &failure{
			exit: exitFailed, code: "no_topic", what: "subscriptions", err: fmt.Errorf("there is no topic %s", opts.topic),
			mend: "see danube-connect-gen topics",
		}
	case opts.json:
		return printJSON(io.out, envelope{OK: true, Data: list})
	}
	return printSubscriptions(io.out, list)
}

// partitionsOf finds the topic of that name, or its partitions. Asked about a topic that does not exist, the broker describes one
// without subscriptions, so its list of topics has to tell.
func partitionsOf(ctx context.Context, conn *grpc.ClientConn, topic string) (names []string, err error) {
	infos, err := allTopics(ctx, conn)
	for _, t := range infos {
		if base, isPartition := partitionBase(t.GetName()); t.GetName() == topic || (isPartition && base == topic) {
			names = append(names, t.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// appendSubscriptions asks about the subscriptions of one topic. The broker repeats their names.
func appendSubscriptions(ctx context.Context, conn *grpc.ClientConn, list []subscriptionData, topic string) ([]subscriptionData, error) {
	admin := adminpb.NewTopicAdminClient(conn)
	found, err := admin.ListSubscriptions(ctx, &adminpb.TopicRequest{Name: topic})
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(slices.Values(found.GetSubscriptions()))
	list = append([]subscriptionData{}, list...) // not nil: the topic is there
	for _, name := range slices.Compact(names) {
		s := subscriptionData{Topic: topic, Name: name}
		// Topics that keep no messages have neither policy nor window, which the broker answers with an error.
		policy, err := admin.GetSubscriptionFailurePolicy(ctx, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: topic, Subscription: name})
		if err == nil && policy.GetFailurePolicy() != nil {
			s.Type = danubepb.ConsumerRequest_SubscriptionType_name[policy.GetSubscriptionType()]
			s.Policy = policyOf(policy.GetFailurePolicy())
		}
		config, err := admin.GetSubscriptionDispatchConfig(ctx, &adminpb.GetSubscriptionDispatchConfigRequest{Topic: topic, Subscription: name})
		if err == nil {
			s.Window = config.GetDispatchConfig().GetMaxUnackedMessages()
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		list = append(list, s)
	}
	return list, nil
}

func policyOf(w *adminpb.SubscriptionFailurePolicy) *policyData {
	return &policyData{
		MaxRedeliveries:  w.GetMaxRedeliveryCount(),
		AckTimeoutMs:     w.GetAckTimeoutMs(),
		BaseRedeliveryMs: w.GetBaseRedeliveryDelayMs(),
		MaxRedeliveryMs:  w.GetMaxRedeliveryDelayMs(),
		Backoff:          w.GetBackoffStrategy().String(),
		PoisonPolicy:     w.GetPoisonPolicy().String(),
		DeadLetterTopic:  w.GetDeadLetterTopic(),
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
