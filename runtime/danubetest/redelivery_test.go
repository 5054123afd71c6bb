package danubetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// within checks that a message comes after a wait of d on the fake clock, and not a second earlier or later than that.
func (r *reader) within(d time.Duration) *danubepb.StreamMessage {
	r.c.t.Helper()
	begin := time.Now()
	select {
	case m := <-r.in:
		require.InDelta(r.c.t, d.Seconds(), time.Since(begin).Seconds(), 0.001)
		return m
	case <-time.After(d + time.Hour):
		require.FailNow(r.c.t, "no message came", "within %v", d+time.Hour)
		return nil
	}
}

func TestDB16NackUnderTheDefaultPolicy(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000", "m001")
		m := r.expect("m000")
		r.consumeAll("m001")
		r.nack(m, 0, "not now")
		again := r.within(time.Second)
		require.Equal(t, "m000", string(again.GetPayload()))
		require.Equal(t, offset(m), offset(again))
		r.ack(again)
		r.quiet(time.Hour)
	})
}

func TestDB17NackUnderAPolicyOfItsOwn(t *testing.T) {
	t.Parallel()
	policy := danubetest.DefaultFailurePolicy()
	policy.MaxRedeliveries, policy.BaseDelay, policy.Fixed = 2, 50*time.Millisecond, true
	for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared, failover, keyShared} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) {
				p := c.producer(orders, "p", reliable)
				r := c.consume(orders, "s", "c", kind)
				p.send("m000")
				r.nack(r.expect("m000"), 0, "")
				r.nack(r.within(50*time.Millisecond), 3*time.Second, "")
				r.ack(r.within(3 * time.Second))
			}, danubetest.Policy(policy))
		})
	}
}

func TestDB17BackoffDoublesUpToTheMaximum(t *testing.T) {
	t.Parallel()
	policy := danubetest.DefaultFailurePolicy()
	policy.MaxRedeliveries, policy.MaxDelay = 100, 10*time.Second
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000")
		m := r.expect("m000")
		for _, wait := range []int{1, 2, 4, 8, 10, 10} {
			r.nack(m, 0, "")
			m = r.within(time.Duration(wait) * time.Second)
		}
		r.nack(m, time.Hour, "longer than the policy allows")
		r.within(10 * time.Second)
	}, danubetest.Policy(policy))
}

func TestDB18AckTimeout(t *testing.T) {
	t.Parallel()
	policy := danubetest.DefaultFailurePolicy()
	policy.AckTimeout, policy.BaseDelay = 200*time.Millisecond, 0
	for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared, keyShared} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) {
				p := c.producer(orders, "p", reliable)
				r := c.consume(orders, "s", "c", kind)
				p.send("m000")
				first := r.expect("m000")
				again := r.within(200 * time.Millisecond)
				require.Equal(t, offset(first), offset(again))
				r.ack(again)
				r.quiet(time.Hour)
			}, danubetest.Policy(policy))
		})
	}
}

func TestDB18DefaultPolicyOverTime(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000")
		r.expect("m000")
		for _, backoff := range []int{1, 2, 4, 8, 16} {
			r.within(time.Duration(30+backoff) * time.Second)
		}
		p.send("m001")
		r.expect("m001") // the sixth delivery of m000 is not exhausted yet
		c.waitFor(func() bool { s, _ := c.broker.Subscription(orders, "s"); return !s.Blocked })
		r.quiet(29 * time.Second)
		time.Sleep(time.Minute)
		p.send("m002")
		s, _ := c.broker.Subscription(orders, "s")
		require.True(t, s.Blocked)
	})
}

// Nothing times out and nothing is exhausted while no consumer is there.
func TestDB18NoTimeoutWithoutAConsumer(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000")
		r.expect("m000")
		r.close()
		time.Sleep(24 * time.Hour)
		r = c.consume(orders, "s", "c", exclusive)
		r.consumeAll("m000")
		s, _ := c.broker.Subscription(orders, "s")
		require.Equal(t, 2, s.Delivered)
		require.False(t, s.Blocked)
	})
}

func TestDB18LateAcksDoNotCount(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000")
		m := r.expect("m000")
		time.Sleep(30*time.Second + 500*time.Millisecond)
		r.ack(m) // it waits for its second delivery now
		r.ack(r.within(500 * time.Millisecond))
		require.Equal(t, 0, c.broker.Unacked(orders, "s"))
	})
}

func poison(policy danubetest.PoisonPolicy) danubetest.FailurePolicy {
	p := danubetest.DefaultFailurePolicy()
	p.MaxRedeliveries, p.Poison = 0, policy
	if policy == danubetest.DeadLetter {
		p.DeadLetterTopic = orders + "-dlq"
	}
	return p
}

func TestDB19Block(t *testing.T) {
	t.Parallel()
	for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared, failover} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) {
				p := c.producer(orders, "p", reliable)
				r := c.consume(orders, "s", "c", kind)
				p.send("m000")
				m := r.expect("m000")
				r.nack(m, 0, "broken")
				p.send("m001")
				r.ack(m)
				r.quiet(time.Hour)
				r.close()
				r = c.consume(orders, "s", "c", kind)
				r.quiet(time.Hour)
				s, _ := c.broker.Subscription(orders, "s")
				require.True(t, s.Blocked)
				require.Equal(t, 2, s.Backlog)
			}, danubetest.Policy(poison(danubetest.Block)))
		})
	}
}

// A new policy reaches a subscription that is blocked already.
func TestDB19BlockIsLiftedByAnotherPolicy(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000", "m001")
		r.nack(r.expect("m000"), 0, "broken")
		r.consumeAll("m001")
		c.setPolicy("s", &adminpb.SubscriptionFailurePolicy{MaxRedeliveryCount: 3, AckTimeoutMs: 30_000, MaxRedeliveryDelayMs: 1000, PoisonPolicy: adminpb.SubscriptionPoisonPolicy_Block})
		r.consumeAll("m000")
		p.send("m002")
		r.consumeAll("m002")
	}, danubetest.Policy(poison(danubetest.Block)))
}

func TestDB19Drop(t *testing.T) {
	t.Parallel()
	c := start(t, danubetest.Policy(poison(danubetest.Drop)))
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	p.send("m000", "m001")
	r.nack(r.expect("m000"), 0, "broken")
	r.consumeAll("m001")
	c.waitFor(func() bool { return c.broker.Unacked(orders, "s") == 0 })
}

func TestDB19DeadLetter(t *testing.T) {
	t.Parallel()
	c := start(t, danubetest.Policy(poison(danubetest.DeadLetter)))
	p := c.producer(orders, "p", reliable)
	c.producer(orders+"-dlq", "p", reliable)
	dead := c.consume(orders+"-dlq", "d", "c", exclusive)
	r := c.consume(orders, "s", "c", exclusive)
	first := p.message("m000")
	first.Attributes = map[string]string{"mine": "kept", "x-original-topic": "overwritten"}
	p.publish(first)
	p.send("m001", "m002")
	r.nack(r.expect("m000"), 0, "broken")
	r.nack(r.expect("m001"), 0, "")
	r.consumeAll("m002")

	m := dead.expect("m000")
	require.Equal(t, orders+"-dlq", m.GetMsgId().GetTopicName())
	require.Equal(t, map[string]string{
		"mine":                    "kept",
		"x-original-topic":        orders,
		"x-original-subscription": "s",
		"x-original-topic-offset": "0",
		"x-original-producer-id":  fmt.Sprint(p.id),
		"x-original-broker-addr":  "http://broker",
		"x-poison-policy":         "dead_letter",
		"x-delivery-attempt":      "1",
		"x-failure-reason":        "broken",
	}, m.GetAttributes())
	m = dead.expect("m001")
	require.Equal(t, uint64(1), offset(m))
	require.NotContains(t, m.GetAttributes(), "x-failure-reason")
	c.waitFor(func() bool { return c.broker.Unacked(orders, "s") == 0 })
}

// A dead letter that cannot be published is kept and tried again; the topic is made when it is missing.
func TestDB19DeadLetterIsNotLost(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		c.producer(orders+"-dlq", "p", nonReliable) // which takes no dead letters
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000")
		r.nack(r.expect("m000"), 0, "broken")
		time.Sleep(time.Minute)
		require.Equal(t, 1, c.broker.Unacked(orders, "s"))
		_, err := c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: orders + "-dlq"})
		require.NoError(t, err)
		c.waitFor(func() bool { return c.broker.Unacked(orders, "s") == 0 })
		require.Equal(t, 1, c.broker.Published(orders+"-dlq"))
	}, danubetest.Policy(poison(danubetest.DeadLetter)))
}

// setPolicy stores a failure policy for a subscription of orders.
func (c *client) setPolicy(sub string, p *adminpb.SubscriptionFailurePolicy) {
	c.t.Helper()
	resp, err := c.topics.SetSubscriptionFailurePolicy(c.ctx, &adminpb.SetSubscriptionFailurePolicyRequest{Topic: orders, Subscription: sub, FailurePolicy: p})
	require.NoError(c.t, err)
	require.True(c.t, resp.GetSuccess())
}
