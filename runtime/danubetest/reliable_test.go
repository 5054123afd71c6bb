package danubetest_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

const orders = "/default/orders"

func TestDB13ReliableTakesABacklogAndDeliversIt(t *testing.T) {
	t.Parallel()
	for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared, failover} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", kind)
			big := strings.Repeat("x", 100<<10)
			for _, n := range numbers(0, 20) {
				p.send(n + big)
			}
			for i, n := range numbers(0, 20) {
				m := r.expect(n + big)
				require.Equal(t, uint64(i), offset(m))
				require.Equal(t, orders, m.GetMsgId().GetTopicName())
				r.ack(m)
			}
			c.waitFor(func() bool { return c.broker.Unacked(orders, "s") == 0 })
		})
	}
}

func TestDB14ExclusiveKeepsOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 100)...)
		r.consumeAll(numbers(0, 100)...)
		for _, n := range numbers(100, 150) {
			p.send(n)
			time.Sleep(5 * time.Millisecond) // the producer's pauses, on a fake clock
		}
		r.consumeAll(numbers(100, 150)...)
		for burst := range 3 {
			from := 150 + 10*burst
			p.send(numbers(from, from+10)...)
			time.Sleep(800 * time.Millisecond)
			r.consumeAll(numbers(from, from+10)...)
		}
	})
}

func TestDB15NothingIsMissedAfterSubscribe(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]danubepb.DispatchStrategy{"reliable": reliable, "non-reliable": nonReliable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(orders, "p", strategy)
			p.send("before")
			id := c.subscribe(orders, "s", "c", exclusive)
			p.send("between")
			r := c.receive(orders, "s", id)
			p.send("after")
			r.expect("between", "after")
		})
	}
}

func TestDB21ReconnectRedeliversInOrder(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	p.send(numbers(0, 5)...)
	r.ack(r.expect("m000"))
	r.expect("m001", "m002", "m003", "m004")
	id := r.id
	for range 3 {
		r.close()
		r = c.consume(orders, "s", "c", exclusive)
		require.Equal(t, id, r.id)
		r.expect("m001", "m002", "m003", "m004")
	}
	p.send("m005")
	r.expect("m005")
	require.Empty(t, r.in)
}

func TestDB21AckBeforeReconnectCounts(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	p.send(numbers(0, 5)...)
	var all []*danubepb.StreamMessage
	for range 5 {
		all = append(all, r.next())
	}
	r.ack(all[3])
	r.ack(all[1])
	r.close()
	r = c.consume(orders, "s", "c", exclusive)
	r.consumeAll("m000", "m002", "m004")
	p.send("m005")
	r.expect("m005")
}

func TestDB40ConcurrentSendsGetDistinctOffsets(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	const senders, each = 16, 50
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				_, err := c.SendMessage(c.ctx, &danubepb.StreamMessage{
					MsgId: &danubepb.MsgID{ProducerId: p.id, TopicName: orders}, Payload: []byte("x"),
				})
				if err != nil {
					t.Errorf("send: %v", err)
				}
			}
		})
	}
	for i := range senders * each {
		m := r.next()
		require.Equal(t, uint64(i), offset(m))
		r.ack(m)
	}
	wg.Wait()
}

func TestDB41TakeoverEndsTheOldStreamWithOK(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	old := c.consume(orders, "s", "c", exclusive)
	p.send("m000", "m001")
	old.expect("m000", "m001")

	second := c.receive(orders, "s", old.id) // the same consumer again
	<-old.ended
	require.NoError(t, old.err)
	second.expect("m000", "m001")

	third := c.consume(orders, "s", "c", shared) // the same name; its type does not matter
	<-second.ended
	require.NoError(t, second.err)
	require.Equal(t, old.id, third.id)
	third.consumeAll("m000", "m001")
	p.send("m002")
	third.expect("m002")
}

// What a topic's move to another broker must not break is all that one broker has to show of it: offsets go on without a gap.
func TestDB37OffsetsHaveNoGaps(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		next := uint64(0)
		for range 3 {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			for _, text := range numbers(0, 25) {
				p.send(text)
				m := r.expect(text)
				require.Equal(t, next, offset(m))
				next++
				r.ack(m)
			}
			r.close()
			c.broker.Restart(true)
			time.Sleep(time.Second)
		}
	})
}
