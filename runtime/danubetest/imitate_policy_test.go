package danubetest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// sends tells the times at which one message that nobody acknowledges is delivered, to a tenth of a second.
func sends(until time.Duration, p danubetest.FailurePolicy) probe {
	return func(t *testing.T, c *client) []string {
		setPolicy(c, p)
		time.Sleep(130 * time.Millisecond) // the phase of the ticks is not that of the send
		r := c.consume(orders, "s", "c", exclusive)
		time.Sleep(170 * time.Millisecond)
		pub := c.producer(orders, "p", reliable)
		begin := time.Now()
		pub.send("m000")
		var at []string
		for time.Since(begin) < until {
			select {
			case <-r.in:
				at = append(at, fmt.Sprintf("%.1f", time.Since(begin).Seconds()))
			case <-time.After(time.Second):
			}
		}
		pub.send("m001")
		return says(strings.Join(at, " "), fmt.Sprint(len(r.came(time.Second)))+" more")
	}
}

// setPolicy stores a policy for subscription s of topic orders, which it creates.
func setPolicy(c *client, p danubetest.FailurePolicy) {
	c.t.Helper()
	c.producer(orders, "first", reliable)
	require.NoError(c.t, c.storePolicy(p))
}

func (c *client) storePolicy(p danubetest.FailurePolicy) error {
	backoff := adminpb.SubscriptionBackoffStrategy_Exponential
	if p.Fixed {
		backoff = adminpb.SubscriptionBackoffStrategy_Fixed
	}
	poison := adminpb.SubscriptionPoisonPolicy_Block
	if p.Poison == danubetest.Drop {
		poison = adminpb.SubscriptionPoisonPolicy_Drop
	}
	_, err := c.topics.SetSubscriptionFailurePolicy(c.ctx, &adminpb.SetSubscriptionFailurePolicyRequest{
		Topic: orders, Subscription: "s", FailurePolicy: &adminpb.SubscriptionFailurePolicy{
			MaxRedeliveryCount: p.MaxRedeliveries, AckTimeoutMs: uint64(p.AckTimeout.Milliseconds()),
			BaseRedeliveryDelayMs: uint64(p.BaseDelay.Milliseconds()), MaxRedeliveryDelayMs: uint64(p.MaxDelay.Milliseconds()),
			BackoffStrategy: backoff, PoisonPolicy: poison,
		},
	})
	return err
}

func TestDB56Ticks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		policy             danubetest.FailurePolicy
		until              time.Duration
		imitated, friendly string
	}{
		"default": {danubetest.DefaultFailurePolicy(), 250 * time.Second,
			"0.0 31.8 64.8 99.8 138.8 185.8", "0.0 31.0 63.0 97.0 135.0 181.0"},
		"short": {quick(time.Second, 2, 100*time.Millisecond), 10 * time.Second, "0.0 1.8 3.8", "0.0 1.1 2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			imitates(t, "ticks", sends(tt.until, tt.policy), says(tt.imitated, "0 more"), says(tt.friendly, "0 more"))
		})
	}
}

func TestDB56TicksWithoutAckTimeout(t *testing.T) {
	t.Parallel()
	imitates(t, "ticks", sends(10*time.Second, quick(0, 5, 0)), says("0.0 0.3 0.8 1.3 1.8 2.3", "0 more"),
		says("0.0 0.5 1.0 1.5 2.0 2.5", "0 more"))
}

func TestDB57Block(t *testing.T) {
	t.Parallel()
	imitates(t, "block", func(t *testing.T, c *client) []string {
		setPolicy(c, quick(time.Second, 0, 0))
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000")
		time.Sleep(5 * time.Second)
		p.send("m001")
		line := says(spans(r.came(time.Second)), c.tryAck(orders, "s", 0))
		require.NoError(t, c.storePolicy(quick(time.Hour, 5, 0)))
		line = append(line, "after a new policy: "+r.drain(r.came(2*time.Second)))
		r.close()
		time.Sleep(time.Second)
		r = c.consume(orders, "s", "c", exclusive)
		line = append(line, "after a reconnect: "+r.drain(r.came(2*time.Second)))
		r.close()
		time.Sleep(time.Second)
		require.Equal(t, ok, c.unsubscribe(orders, "s"))
		r = c.consume(orders, "s", "c", exclusive)
		p.send("m002")
		return append(line, "after Unsubscribe: "+r.drain(r.came(2*time.Second)))
	}, says("0", ok, "after a new policy: ", "after a reconnect: ", "after Unsubscribe: 2"),
		says("0", ok, "after a new policy: 1 0", "after a reconnect: ", "after Unsubscribe: 2"))
}

// Each reopened stream counts as a delivery: they exhaust nothing by themselves, but the next ack timeout does.
func TestDB57BlockAfterReconnects(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 60)...)
		for range 5 {
			require.Equal(t, "0-9", spans(r.came(200*time.Millisecond)))
			r.close()
			time.Sleep(time.Second)
			r = c.consume(orders, "s", "c", exclusive)
		}
		require.Equal(t, "0-9", spans(r.came(3*time.Second)))
		for offset := range uint64(10) {
			require.Equal(t, ok, c.tryAck(orders, "s", offset))
		}
		require.Empty(t, r.came(10*time.Second))
		stats, _ := c.broker.Subscription(orders, "s")
		require.True(t, stats.Blocked)
	}, danubetest.Imitate("v0.15"), danubetest.Policy(quick(time.Second, 2, 100*time.Millisecond)))
}

func TestDB57NoBlockWhileTheStreamIsClosed(t *testing.T) {
	t.Parallel()
	for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared} {
		bubble(t, func(t *testing.T, c *client) {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", kind)
			p.send(numbers(0, 60)...)
			require.Equal(t, "0-9", spans(r.came(100*time.Millisecond)))
			r.close()
			time.Sleep(15 * time.Second)
			r = c.consume(orders, "s", "c", kind)
			require.Equal(t, "0-59", r.drain(r.came(100*time.Millisecond)))
			stats, _ := c.broker.Subscription(orders, "s")
			require.False(t, stats.Blocked)
		}, danubetest.Imitate("v0.15"), danubetest.Policy(quick(time.Second, 2, 100*time.Millisecond)))
	}
}

func TestDB58Policy(t *testing.T) {
	t.Parallel()
	imitates(t, "policy", func(t *testing.T, c *client) []string {
		setPolicy(c, quick(time.Second, 9, 0))
		first := c.consume(orders, "s", "c1", shared)
		require.NoError(t, c.storePolicy(quick(time.Second, 77, 0)))
		c.subscribe(orders, "s", "c1", shared) // a name that is known changes nothing
		line := says(c.storedMax())
		c.receive(orders, "s", c.subscribe(orders, "s", "c2", shared)).close()
		line = append(line, c.storedMax())
		first.close()
		c.receive(orders, "s", first.id).close()
		time.Sleep(time.Second)
		require.Equal(t, ok, c.unsubscribe(orders, "s"))
		return append(line, c.storedMax())
	}, says("77", "9", "none"), says("77", "77", "77"))
}

// storedMax tells how many redeliveries the stored policy allows.
func (c *client) storedMax() string {
	c.t.Helper()
	got, err := c.topics.GetSubscriptionFailurePolicy(c.ctx, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: orders, Subscription: "s"})
	require.NoError(c.t, err)
	if got.GetFailurePolicy() == nil {
		return "none"
	}
	return fmt.Sprint(got.GetFailurePolicy().GetMaxRedeliveryCount())
}

func TestDB59SecondStream(t *testing.T) {
	t.Parallel()
	imitates(t, "second-stream", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 3)...)
		require.Equal(t, "0-2", spans(r.came(time.Second)))
		second := c.receive(orders, "s", r.id)
		<-r.ended
		require.NoError(t, r.err)
		line := says(spans(second.came(10 * time.Second)))
		third := c.consume(orders, "s", "c", exclusive)
		return append(line, spans(third.came(time.Second)))
	}, says("", "0-2"), says("0-2", "0-2"), patientPolicy())
}
