package danubetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

func TestDB50CutOffOneConsumer(t *testing.T) {
	t.Parallel()
	c := start(t)
	other := connect(t, c.broker)
	p := other.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "victim", failover)
	spare := other.consume(orders, "s", "spare", failover)
	p.send("m000")
	m := r.expect("m000")

	require.Equal(t, 1, c.broker.CutOff("victim"))
	<-r.ended
	requireStatus(t, r.err, codes.Unavailable, "")
	spare.consumeAll("m000")
	p.send("m001")
	spare.consumeAll("m001")
	for range 3 { // it comes back by new connections, and by none of them
		_, err := c.Subscribe(c.ctx, &danubepb.ConsumerRequest{TopicName: orders, Subscription: "s", ConsumerName: "victim", SubscriptionType: failover})
		requireStatus(t, err, codes.Unavailable, "")
		stream, err := c.ReceiveMessages(c.ctx, &danubepb.ReceiveRequest{ConsumerId: r.id})
		require.NoError(t, err)
		_, err = stream.Recv()
		requireStatus(t, err, codes.Unavailable, "")
	}
	_, err := c.HealthCheck(c.ctx, &danubepb.HealthCheckRequest{Client: danubepb.HealthCheckRequest_Consumer, Id: r.id})
	requireStatus(t, err, codes.Unavailable, "")
	_, err = other.Ack(c.ctx, &danubepb.AckRequest{MsgId: m.GetMsgId(), SubscriptionName: "s"})
	require.NoError(t, err, "the subscription has another consumer")

	require.True(t, c.broker.LetIn("victim"))
	require.False(t, c.broker.LetIn("victim"))
	again := c.consume(orders, "s", "victim", failover)
	require.Equal(t, r.id, again.id)
	spare.close()
	p.send("m002")
	again.consumeAll("m002")
}

func TestDB50CutOffAProducerAndItsAcknowledgements(t *testing.T) {
	t.Parallel()
	c := start(t)
	other := connect(t, c.broker)
	p := c.producer(orders, "p", reliable)
	q := other.producer(orders, "q", reliable)
	r := other.consume(orders, "s", "alone", exclusive)
	p.send("m000")
	m := r.expect("m000")
	require.Equal(t, 1, c.broker.CutOff("p"))
	_, err := c.SendMessage(c.ctx, p.message("lost"))
	requireStatus(t, err, codes.Unavailable, "")
	_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: orders})
	requireStatus(t, err, codes.Unavailable, "")
	q.send("m001")
	require.Equal(t, 2, c.broker.Published(orders))

	c.broker.LetIn("p")
	require.Equal(t, 1, c.broker.CutOff("alone"))
	_, err = c.Ack(c.ctx, &danubepb.AckRequest{MsgId: m.GetMsgId(), SubscriptionName: "s"})
	requireStatus(t, err, codes.Unavailable, "")
	_, err = c.Nack(c.ctx, &danubepb.NackRequest{MsgId: m.GetMsgId(), SubscriptionName: "s"})
	requireStatus(t, err, codes.Unavailable, "")
	require.Equal(t, 2, c.broker.Unacked(orders, "s"))
}

func TestDB50CutOffAnAddress(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		require.Equal(t, 1, c.broker.CutOff("bufconn"), "the address of all in-memory connections; that of the admin API is not open yet")
		time.AfterFunc(time.Minute, func() { c.broker.LetIn("bufconn") })
		waited := took(func() {
			require.NoError(t, settled(func() error {
				_, err := c.SendMessage(c.ctx, p.message("m000"))
				return err
			}))
		})
		require.GreaterOrEqual(t, waited, time.Minute)
		require.Equal(t, 1, c.broker.Published(orders))
	})
}

func TestDB50ForgetIDs(t *testing.T) {
	t.Parallel()
	c := start(t)
	p, q := c.producer(orders, "p", reliable), c.producer(orders, "q", reliable)
	r := c.consume(orders, "s", "c", shared)
	other := c.consume(orders, "t", "c", shared)
	p.send("m000")
	r.expect("m000")
	other.consumeAll("m000")

	require.True(t, c.broker.ForgetProducer(orders, "p"))
	require.False(t, c.broker.ForgetProducer(orders, "p"))
	_, err := c.SendMessage(c.ctx, p.message("x"))
	requireStatus(t, err, codes.NotFound, "The producer with id")
	require.NotEqual(t, p.id, c.producer(orders, "p", reliable).id)
	q.send("m001")
	other.consumeAll("m001")

	require.True(t, c.broker.ForgetConsumer(orders, "s", "c"))
	require.False(t, c.broker.ForgetConsumer(orders, "s", "c"))
	<-r.ended
	requireStatus(t, r.err, codes.Unavailable, "connection lost")
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Consumer, r.id))
	again := c.consume(orders, "s", "c", shared)
	require.NotEqual(t, r.id, again.id)
	again.consumeAll("m000", "m001")

	require.False(t, c.broker.ForgetProducer("/default/none", "p"))
	require.False(t, c.broker.ForgetConsumer("/default/none", "s", "c"))
}

func TestDB50CloseHealth(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	require.True(t, c.broker.CloseHealth(orders, "s", "c"))
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Consumer, r.id))
	p.send("m000")
	r.consumeAll("m000") // the stream is served all the same
	require.Equal(t, r.id, c.subscribe(orders, "s", "c", exclusive))
	require.Equal(t, danubepb.HealthCheckResponse_OK, c.health(danubepb.HealthCheckRequest_Consumer, r.id))
	require.False(t, c.broker.CloseHealth(orders, "s", "none"))
}
