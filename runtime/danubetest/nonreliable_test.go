package danubetest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

const ticks = "/default/ticks"

func TestDB04NonReliableSendReceiveAck(t *testing.T) {
	t.Parallel()
	for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared, failover, keyShared} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(ticks, "p", nonReliable)
			r := c.consume(ticks, "s", "c", kind)
			m := p.message("hello")
			m.Attributes = map[string]string{"a": "b"}
			p.publish(m)
			got := r.expect("hello")
			require.Equal(t, map[string]string{"a": "b"}, got.GetAttributes())
			require.Equal(t, m.GetPublishTime(), got.GetPublishTime())
			require.Equal(t, "p", got.GetProducerName())
			require.Empty(t, got.GetSubscriptionName())
			r.ack(got)
		})
	}
}

func TestDB05AckOnNonReliableDoesNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(ticks, "p", nonReliable)
	r := c.consume(ticks, "s", "c", shared)
	p.send("m000")
	m := r.expect("m000")
	r.ack(m)
	r.ack(m)
	r.nack(m, 0, "no")
	p.send("m001")
	r.expect("m001")
	require.Empty(t, r.in)
}

func TestDB06FanOutDropsNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	var topics []string
	for i := range 3 {
		topics = append(topics, fmt.Sprintf("%s-part-%d", ticks, i))
	}
	var readers []*reader
	var senders []*sender
	for _, topic := range topics {
		senders = append(senders, c.producer(topic, "p", nonReliable))
		for i := range 3 {
			sub := fmt.Sprint("s", i)
			readers = append(readers, c.consume(topic, sub, sub+"-consumer", exclusive))
		}
	}
	const burst = 200
	for _, p := range senders {
		p.send(numbers(0, burst)...)
	}
	for _, r := range readers {
		r.expect(numbers(0, burst)...)
	}
}

func TestDB07SharedIsAStrictRoundRobin(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]danubepb.DispatchStrategy{"reliable": reliable, "non-reliable": nonReliable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(ticks, "p", strategy)
			var readers []*reader
			for i := range 3 {
				readers = append(readers, c.consume(ticks, "s", fmt.Sprint("c", i), shared))
			}
			for i, n := range numbers(0, 36) {
				p.send(n)
				readers[i%3].consumeAll(n)
			}
			for _, r := range readers {
				require.Empty(t, r.in)
			}
		})
	}
}

func TestDB08AConsumerJoinsMidStream(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(ticks, "p", nonReliable)
	a, b := c.consume(ticks, "s", "a", shared), c.consume(ticks, "s", "b", shared)
	early := c.consume(ticks, "early", "c", exclusive)
	p.send(numbers(0, 15)...)
	joined := c.consume(ticks, "s", "c", shared)
	late := c.consume(ticks, "late", "c", exclusive)
	p.send(numbers(15, 45)...)

	early.expect(numbers(0, 45)...)
	late.expect(numbers(15, 45)...)
	c.waitFor(func() bool { return c.broker.Delivered(ticks, "s") == 45 })
	seen := make(map[string]int)
	for r, n := range map[*reader]int{a: 8 + 10, b: 7 + 10, joined: 10} {
		for range n {
			seen[string(r.next().GetPayload())]++
		}
		require.Empty(t, r.in)
	}
	require.Len(t, seen, 45)
}

func TestDB10SharedOverPartitions(t *testing.T) {
	t.Parallel()
	c := start(t)
	counts := make(map[string]int)
	for i := range 3 {
		topic := fmt.Sprintf("%s-part-%d", ticks, i)
		p := c.producer(topic, "p", nonReliable)
		var readers []*reader
		for j := range 3 {
			readers = append(readers, c.consume(topic, "s", fmt.Sprint("c", j), shared))
		}
		p.send(numbers(0, 20)...)
		c.waitFor(func() bool { return c.broker.Delivered(topic, "s") == 20 })
		for j, want := range []int{7, 7, 6} {
			for range want {
				readers[j].next()
				counts[fmt.Sprint("c", j)]++
			}
		}
	}
	for name, n := range counts {
		require.InDelta(t, 20, n, 4, name)
	}
}

func TestDB12ProducersAreIdempotentByName(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(ticks, "p", nonReliable)
	r := c.consume(ticks, "s", "c", exclusive)
	again := connect(t, c.broker).producer(ticks, "p", nonReliable)
	require.Equal(t, p.id, again.id)
	require.NotEqual(t, p.id, c.producer(ticks, "q", nonReliable).id)
	p.send("m000")
	again.send("m001")
	r.expect("m000", "m001")
}
