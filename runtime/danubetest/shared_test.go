package danubetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

func (c *client) trySubscribe(topic, sub, name string, kind danubepb.ConsumerRequest_SubscriptionType) error {
	_, err := c.Subscribe(c.ctx, &danubepb.ConsumerRequest{TopicName: topic, Subscription: sub, ConsumerName: name, SubscriptionType: kind})
	return err
}

func TestDB22SharedHandsOverWhatALostConsumerHad(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	a, b := c.consume(orders, "s", "a", shared), c.consume(orders, "s", "b", shared)
	p.send(numbers(0, 10)...)
	a.expect("m000", "m002", "m004", "m006", "m008")
	b.expect("m001", "m003", "m005", "m007", "m009")
	a.close()
	b.expect("m000", "m002", "m004", "m006", "m008")
	require.Empty(t, b.in)
}

func TestDB42ExclusiveSeat(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]danubepb.DispatchStrategy{"reliable": reliable, "non-reliable": nonReliable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(orders, "p", strategy)
			a := c.consume(orders, "s", "a", exclusive)
			for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared} {
				requireStatus(t, c.trySubscribe(orders, "s", "b", kind), codes.PermissionDenied, "Exclusive subscription can't be shared")
			}
			a.close()
			b := c.consume(orders, "s", "b", exclusive)
			require.NotEqual(t, a.id, b.id)
			p.send("m000")
			b.expect("m000")
			// The one that left is a stranger now.
			stream, err := c.ReceiveMessages(c.ctx, &danubepb.ReceiveRequest{ConsumerId: a.id})
			require.NoError(t, err)
			_, err = stream.Recv()
			requireStatus(t, err, codes.NotFound, "does not exist")
			requireStatus(t, c.trySubscribe(orders, "s", "a", exclusive), codes.PermissionDenied, "Exclusive subscription can't be shared")
		})
	}
}

// A consumer that subscribed and never opened its stream holds its seat no longer than its connection.
func TestDB42SeatOfAConsumerWithoutAStream(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	other := connect(t, c.broker)
	other.subscribe(orders, "s", "a", exclusive)
	requireStatus(t, c.trySubscribe(orders, "s", "b", exclusive), codes.PermissionDenied, "Exclusive subscription can't be shared")
	require.NoError(t, other.conn.Close())
	c.waitFor(func() bool { s, _ := c.broker.Subscription(orders, "s"); return len(s.Connected) == 0 })
	p.send("m000")
	c.consume(orders, "s", "b", exclusive).expect("m000")
}

func TestDB42TheStoredTypeWins(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.producer(orders, "p", reliable)
	c.consume(orders, "s", "a", shared)
	c.consume(orders, "s", "b", exclusive) // joins the Shared subscription
	s, ok := c.broker.Subscription(orders, "s")
	require.True(t, ok)
	require.Equal(t, shared, s.Type)
	require.Equal(t, []string{"a", "b"}, s.Connected)
	requireStatus(t, c.trySubscribe(orders, "new", "a", 9), codes.PermissionDenied, "unknown subscription type")
	_, ok = c.broker.Subscription(orders, "new")
	require.False(t, ok)
}

func TestFailoverFailsOver(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]danubepb.DispatchStrategy{"reliable": reliable, "non-reliable": nonReliable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(orders, "p", strategy)
			a, b := c.consume(orders, "s", "a", failover), c.consume(orders, "s", "b", failover)
			p.send("m000", "m001")
			a.consumeAll("m000", "m001")
			a.close()
			c.waitFor(func() bool { s, _ := c.broker.Subscription(orders, "s"); return len(s.Connected) == 1 })
			p.send("m002", "m003")
			b.consumeAll("m002", "m003")
			a = c.consume(orders, "s", "a", failover) // comes back as the standby
			p.send("m004")
			b.consumeAll("m004")
			require.Empty(t, a.in)
		})
	}
}
