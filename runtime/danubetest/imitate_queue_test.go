package danubetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// An Ack that waits holds the table of the topic's subscriptions, but not what only asks for the topic.
func TestDB54QueueHoldsUpTheWholeTopic(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		other := c.consume(orders, "t", "c", exclusive)
		p.send(numbers(0, 60)...)
		require.Equal(t, "0-59", spans(r.came(100*time.Millisecond)))
		for i := range uint64(33) {
			require.Equal(t, ok, c.tryAck(orders, "s", 59-i))
		}
		ended := make(chan string)
		go func() { ended <- c.tryAckFor(time.Hour, orders, "s", 0) }()
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, hangs, c.tryHealth(r.id))
		require.Equal(t, hangs, c.askSubscribe(orders, "new", "c", shared))
		require.Equal(t, hangs, c.unsubscribe(orders, "t"))
		require.Equal(t, hangs, c.tryAck(orders, "t", 0))
		require.Equal(t, hangs, c.try(func(ctx context.Context) error {
			stream, err := c.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: other.id})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		}))
		require.Equal(t, ok, c.try(func(ctx context.Context) error {
			_, err := c.TopicLookup(ctx, &danubepb.TopicLookupRequest{Topic: orders})
			return err
		}))
		c.producer(orders, "another", reliable)
		begin := time.Now()
		p.send("m060") // sets all free, at once
		require.Equal(t, ok, <-ended)
		require.Zero(t, time.Since(begin))
		require.Equal(t, ok, c.tryHealth(r.id))
		require.Equal(t, ok, c.askSubscribe(orders, "new", "c", shared))
	}, danubetest.Imitate("v0.15"), danubetest.Window(1000), patientPolicy())
}

// A subscription that has acknowledged nothing waits in a read at its first tick when the topic holds messages. Each reconnect puts
// four commands into the queue.
func TestDB54QueueIsFullAfterEightReconnects(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		p.send("m000")
		r := c.consume(orders, "s", "c", exclusive)
		time.Sleep(time.Second)
		for range 8 {
			r.close()
			time.Sleep(time.Second)
			r = c.consume(orders, "s", "c", exclusive)
		}
		r.close()
		time.Sleep(time.Second)
		require.Equal(t, hangs, c.askSubscribe(orders, "s", "c", exclusive))
		require.Equal(t, ok, p.trySend("m001"), "the read gets it, and the queue moves on")
		require.Equal(t, ok, c.askSubscribe(orders, "s", "c", exclusive))
	}, danubetest.Imitate("v0.15"), patientPolicy())
}

// A living dispatcher is not told of a new policy, so that takes no place in its queue.
func TestDB54QueueHasNoPlaceForPolicies(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 60)...)
		require.Equal(t, "0-59", spans(r.came(100*time.Millisecond)))
		require.Equal(t, ok, c.tryAck(orders, "s", 59)) // freezes it
		require.NoError(t, c.storePolicy(quick(time.Hour, 7, 0)))
		for i := range uint64(32) {
			require.Equal(t, ok, c.tryAck(orders, "s", 58-i))
		}
		require.Equal(t, hangs, c.tryAck(orders, "s", 0))
	}, danubetest.Imitate("v0.15"), danubetest.Window(1000), patientPolicy())
}
