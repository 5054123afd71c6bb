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

func TestDB51Window(t *testing.T) {
	t.Parallel()
	imitates(t, "window", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		_, err := c.topics.SetSubscriptionDispatchConfig(c.ctx, &adminpb.SetSubscriptionDispatchConfigRequest{
			Topic: orders, Subscription: "s", DispatchConfig: &adminpb.SubscriptionDispatchConfig{MaxUnackedMessages: 50},
		})
		require.NoError(t, err)
		got, err := c.topics.GetSubscriptionDispatchConfig(c.ctx, &adminpb.GetSubscriptionDispatchConfigRequest{Topic: orders, Subscription: "s"})
		require.NoError(t, err)
		require.Equal(t, uint32(50), got.GetDispatchConfig().GetMaxUnackedMessages())
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 100)...)
		return says(spans(r.came(time.Second)))
	}, says("0-9"), says("0-49"))
}

func TestDB51WindowOfEarlierBrokersIsOne(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 3)...)
		require.Equal(t, "0", spans(r.came(time.Second)))
		require.Equal(t, "0-2", r.drain([]*danubepb.StreamMessage{{MsgId: &danubepb.MsgID{TopicName: orders}}}))
	}, danubetest.Imitate("v0.14"))
}

func TestDB52Ring(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		window, published  int
		kind               danubepb.ConsumerRequest_SubscriptionType
		closed             bool
		imitated, friendly string
	}{
		"300 with window 10":          {window: 10, published: 300, imitated: "0-9 44-299", friendly: "0-299"},
		"1000 with window 10":         {window: 10, published: 1000, imitated: "0-9 744-999", friendly: "0-999"},
		"1300 with window 1000":       {window: 1000, published: 1300, imitated: "0-999 1044-1299", friendly: "0-1299"},
		"exclusive, closed, 300":      {window: 10, published: 300, closed: true, imitated: "44-299", friendly: "0-299"},
		"exclusive, closed, 1000":     {window: 10, published: 1000, closed: true, imitated: "744-999", friendly: "0-999"},
		"shared, closed, 300":         {window: 10, published: 300, closed: true, kind: shared, imitated: "0-9 44-299", friendly: "0-299"},
		"shared, closed, 1000":        {window: 10, published: 1000, closed: true, kind: shared, imitated: "0-9 744-999", friendly: "0-999"},
		"shared, closed, window 1000": {window: 1000, published: 1400, closed: true, kind: shared, imitated: "0-999 1144-1399", friendly: "0-1399"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			imitates(t, "ring", ringProbe(tt.published, tt.kind, tt.closed), says(tt.imitated), says(tt.friendly),
				danubetest.Window(tt.window), patientPolicy())
		})
	}
}

func TestDB52RingHoldsWindowAnd256(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		window, published int
		kind              danubepb.ConsumerRequest_SubscriptionType
		closed            bool
	}{
		"260 with window 10":          {window: 10, published: 260},
		"1000 with window 1000":       {window: 1000, published: 1000},
		"exclusive, closed, 250":      {window: 10, published: 250, closed: true},
		"shared, closed, window 1000": {window: 1000, published: 1000, closed: true, kind: shared},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) {
				want := says(fmt.Sprintf("0-%d", tt.published-1))
				require.Equal(t, want, ringProbe(tt.published, tt.kind, tt.closed)(t, c))
			}, danubetest.Imitate("v0.15"), danubetest.Window(tt.window), patientPolicy())
		})
	}
}

// ringProbe publishes while nothing is acknowledged, and tells what comes in the end.
func ringProbe(published int, kind danubepb.ConsumerRequest_SubscriptionType, closed bool) probe {
	return func(_ *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", kind)
		if closed {
			r.close()
			time.Sleep(time.Second)
		}
		p.send(numbers(0, published)...)
		if closed {
			r = c.consume(orders, "s", "c", kind)
		}
		return says(r.drain(r.came(time.Second)))
	}
}

func TestDB53Freeze(t *testing.T) {
	t.Parallel()
	imitates(t, "freeze", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 5)...)
		came := r.came(100 * time.Millisecond)
		require.Equal(t, "0-4", spans(came))
		r.ack(came[4])
		silence := spans(r.came(6 * time.Second))
		p.send("m005")
		return says(silence, spans(r.came(900*time.Millisecond)))
	}, says("", "5 0-3"), says("0-3 0-3 0-3 0-3 0-3 0-3", "5"), danubetest.Policy(quick(time.Second, 1000, 0)))
}

func TestDB53FreezeOfSharedConsumers(t *testing.T) {
	t.Parallel()
	imitates(t, "freeze", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		a, b := c.consume(orders, "s", "a", shared), c.consume(orders, "s", "b", shared)
		p.send(numbers(0, 4)...)
		ofA, ofB := a.came(100*time.Millisecond), b.came(0)
		require.Len(t, ofA, 2)
		require.Len(t, ofB, 2)
		b.ack(ofB[0])
		b.ack(ofB[1]) // each its own and in order, and b has the newest
		silence := fmt.Sprint(len(a.came(6*time.Second)) + len(b.came(0)))
		p.send("m004")
		return says(silence, fmt.Sprint(len(a.came(900*time.Millisecond))+len(b.came(0))))
	}, says("0", "3"), says("12", "1"), danubetest.Policy(quick(time.Second, 1000, 0)))
}

func TestDB53NoFreezeWhenTheNewestIsLast(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		for round := range 20 {
			p.send(numbers(5*round, 5*round+5)...)
			came := r.came(100 * time.Millisecond)
			require.Len(t, came, 5)
			for _, i := range []int{3, 0, 2, 1, 4} {
				r.ack(came[i])
			}
			require.Empty(t, r.came(3*time.Second))
		}
	}, danubetest.Imitate("v0.15"), danubetest.Policy(quick(time.Second, 1000, 0)))
}

// Acknowledgements that were answered with OK lie in the queue; an overdue tick that is taken before them sends their messages again.
func TestDB53FreezeRepeatsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	again := make(map[int]int)
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T, c *client) {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			p.send(numbers(0, 8)...)
			came := r.came(100 * time.Millisecond)
			require.Len(t, came, 8)
			r.ack(came[7])
			for _, m := range came[:7] {
				r.ack(m)
			}
			require.Empty(t, r.came(3*time.Second))
			p.send("m008")
			after := r.came(900 * time.Millisecond)
			require.Equal(t, uint64(8), offset(after[0]))
			again[len(after)-1]++
		}, danubetest.Imitate("v0.15"), danubetest.Seed(seed), danubetest.Policy(quick(time.Second, 1000, 0)))
	}
	require.Positive(t, again[7], "all of them come when the tick is first: %v", again)
	require.Greater(t, len(again), 1, "it depends on chance: %v", again)
}

func TestDB54Queue(t *testing.T) {
	t.Parallel()
	imitates(t, "queue", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		other := c.consume(orders, "t", "c", exclusive)
		p.send(numbers(0, 60)...)
		require.Equal(t, "0-59", spans(r.came(100*time.Millisecond)))
		require.Equal(t, "0-59", spans(other.came(0)))
		acked := 0
		for acked < 60 && c.tryAck(orders, "s", uint64(59-acked)) == ok {
			acked++
		}
		ended := make(chan string)
		go func() { ended <- c.tryAck(orders, "s", 0) }()
		time.Sleep(100 * time.Millisecond)
		line := says(fmt.Sprint(acked), c.tryAckFor(500*time.Millisecond, orders, "t", 0), <-ended)
		health := c.tryHealth(r.id)
		p.send("m060")
		return append(line, health, c.tryAck(orders, "t", 0), c.tryAck(orders, "s", 60))
	}, says("33", hangs, hangs, ok, ok, ok), says("60", ok, ok, ok, ok, ok), danubetest.Window(1000), patientPolicy())
}
