package danubetest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A probe does something to a broker on a fake clock and says what came of it.
type probe func(*testing.T, *client) []string

// imitates runs a probe against the whole profile, against the trap alone, and against the friendly broker, and compares what it
// says. The friendly broker must differ, or the probe would not tell whether the trap is there.
func imitates(t *testing.T, trap string, run probe, imitated, friendly []string, opts ...danubetest.Option) {
	t.Helper()
	require.NotEqual(t, imitated, friendly)
	for name, tt := range map[string]struct {
		opt  danubetest.Option
		want []string
	}{
		"profile":  {danubetest.Imitate("v0.15"), imitated},
		"alone":    {danubetest.Trap(trap), imitated},
		"friendly": {danubetest.Seed(1), friendly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) {
				if diff := cmp.Diff(tt.want, run(t, c)); diff != "" {
					t.Errorf("what the broker did (-want +got):\n%s", diff)
				}
			}, append([]danubetest.Option{tt.opt}, opts...)...)
		})
	}
}

// says makes the lines that a probe returns.
func says(lines ...string) []string { return lines }

// came waits on the fake clock and returns the messages that came meanwhile.
func (r *reader) came(d time.Duration) []*danubepb.StreamMessage {
	time.Sleep(d)
	var all []*danubepb.StreamMessage
	for len(r.in) > 0 {
		all = append(all, <-r.in)
	}
	return all
}

// spans tells offsets in the order in which they came, such as "0-9 44 40-41".
func spans(messages []*danubepb.StreamMessage) string {
	var out []string
	for i := 0; i < len(messages); {
		from := offset(messages[i])
		to := from
		for i++; i < len(messages) && offset(messages[i]) == to+1; i++ {
			to++
		}
		if from == to {
			out = append(out, fmt.Sprint(from))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", from, to))
		}
	}
	return strings.Join(out, " ")
}

// drain acknowledges everything in the order in which it comes until nothing more does, and tells what it was.
func (r *reader) drain(messages []*danubepb.StreamMessage) string {
	r.c.t.Helper()
	all := messages
	for len(messages) > 0 {
		for _, m := range messages {
			r.ack(m)
		}
		messages = r.came(time.Second)
		all = append(all, messages...)
	}
	return spans(all)
}

// try makes a call with a deadline of a second and tells how it ended.
func (c *client) try(call func(context.Context) error) string {
	return c.tryFor(time.Second, call)
}

func (c *client) tryFor(d time.Duration, call func(context.Context) error) string {
	ctx, cancel := context.WithTimeout(c.ctx, d)
	defer cancel()
	s := status.Convert(call(ctx))
	if s.Message() == "Timeout expired" {
		return hangs // the trap resets
	}
	return s.Code().String()
}

// tryAck acknowledges an offset with a deadline.
func (c *client) tryAck(topic, sub string, offset uint64) string {
	return c.tryAckFor(time.Second, topic, sub, offset)
}

func (c *client) tryAckFor(d time.Duration, topic, sub string, offset uint64) string {
	return c.tryFor(d, func(ctx context.Context) error {
		_, err := c.Ack(ctx, &danubepb.AckRequest{MsgId: &danubepb.MsgID{TopicName: topic, TopicOffset: offset}, SubscriptionName: sub})
		return err
	})
}

// trySend publishes with a deadline.
func (s *sender) trySend(payload string) string {
	return s.c.try(func(ctx context.Context) error {
		_, err := s.c.SendMessage(ctx, s.message(payload))
		return err
	})
}

// askSubscribe subscribes with a deadline.
func (c *client) askSubscribe(topic, sub, name string, kind danubepb.ConsumerRequest_SubscriptionType) string {
	return c.try(func(ctx context.Context) error {
		_, err := c.Subscribe(ctx, &danubepb.ConsumerRequest{TopicName: topic, Subscription: sub, ConsumerName: name, SubscriptionType: kind})
		return err
	})
}

// unsubscribe removes a subscription and tells how that ended.
func (c *client) unsubscribe(topic, sub string) string {
	return c.try(func(ctx context.Context) error {
		_, err := c.topics.Unsubscribe(ctx, &adminpb.SubscriptionRequest{Topic: topic, Subscription: sub})
		return err
	})
}

// quick is a policy of fixed waits.
func quick(timeout time.Duration, redeliveries uint32, delay time.Duration) danubetest.FailurePolicy {
	return danubetest.FailurePolicy{
		MaxRedeliveries: redeliveries, AckTimeout: timeout, BaseDelay: delay, MaxDelay: time.Minute, Fixed: true, Poison: danubetest.Block,
	}
}

// patientPolicy gives no test reason to think of timeouts.
func patientPolicy() danubetest.Option { return danubetest.Policy(quick(time.Hour, 1000, time.Second)) }

const ok = "OK"

var hangs = codes.DeadlineExceeded.String()

// health asks for a consumer and tells how the call ended.
func (c *client) tryHealth(id uint64) string {
	return c.try(func(ctx context.Context) error {
		_, err := c.HealthCheck(ctx, &danubepb.HealthCheckRequest{Client: danubepb.HealthCheckRequest_Consumer, Id: id})
		return err
	})
}
