package danubetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestDB46WindowBoundsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts   []danubetest.Option
		window int
	}{
		"default": {nil, 10},
		"one":     {[]danubetest.Option{danubetest.Window(1)}, 1},
		"large":   {[]danubetest.Option{danubetest.Window(500)}, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) {
				p := c.producer(orders, "p", reliable)
				r := c.consume(orders, "s", "c", exclusive)
				n := tt.window
				p.send(numbers(0, n+3)...)
				r.expect(numbers(0, n-1)...)
				last := r.expect(numbers(n-1, n)...)
				r.quiet(10 * time.Second)
				require.Equal(t, n, c.broker.Unacked(orders, "s"))
				r.ack(last) // the newest first: no order is asked for
				r.expect(numbers(n, n+1)...)
				r.quiet(10 * time.Second)
			}, tt.opts...)
		})
	}
}

func TestDB46DispatchConfigIsHonoured(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 60)...)
		r.expect(numbers(0, 10)...)
		r.quiet(time.Second)
		set := func(n uint32) error {
			_, err := c.topics.SetSubscriptionDispatchConfig(c.ctx, &adminpb.SetSubscriptionDispatchConfigRequest{
				Topic: orders, Subscription: "s", DispatchConfig: &adminpb.SubscriptionDispatchConfig{MaxUnackedMessages: n},
			})
			return err
		}
		require.NoError(t, set(50))
		r.expect(numbers(10, 50)...)
		r.quiet(time.Second)
		requireStatus(t, set(0), codes.InvalidArgument, "max_unacked_messages")
		requireStatus(t, set(10_001), codes.InvalidArgument, "max_unacked_messages")
		got, err := c.topics.GetSubscriptionDispatchConfig(c.ctx, &adminpb.GetSubscriptionDispatchConfigRequest{Topic: orders, Subscription: "s"})
		require.NoError(t, err)
		require.Equal(t, uint32(50), got.GetDispatchConfig().GetMaxUnackedMessages())
	})
}

func TestDB47NoMessageIsLostToABacklog(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	r.close()
	const n = 1000 // the real broker keeps 256
	p.send(numbers(0, n)...)
	r = c.consume(orders, "s", "c", exclusive)
	r.consumeAll(numbers(0, n)...)
}

func TestDB47NewSubscriptionsStartAtTheNewest(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	first := c.consume(orders, "s", "c", exclusive)
	p.send("m000", "m001")
	second := c.consume(orders, "t", "c", exclusive)
	p.send("m002")
	first.expect("m000", "m001", "m002")
	require.Equal(t, uint64(2), offset(second.expect("m002")))
}

func TestDB47BeyondItsMemoryTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	c := start(t, danubetest.Memory(256<<10))
	p := c.producer(orders, "p", reliable)
	kib := strings.Repeat("x", 1<<10)
	for range 400 { // nobody needs these: the history gives way
		p.send(kib)
	}
	r := c.consume(orders, "s", "c", exclusive)
	accepted := 0
	var err error
	for err == nil && accepted < 400 {
		if _, err = c.SendMessage(c.ctx, p.message(kib)); err == nil {
			accepted++
		}
	}
	requireStatus(t, err, codes.ResourceExhausted, "backlog is full")
	require.InDelta(t, 200, accepted, 30)
	for i := range accepted {
		m := r.next()
		require.Equal(t, uint64(400+i), offset(m))
		r.ack(m)
	}
	p.send(kib)
	require.Equal(t, uint64(400+accepted), offset(r.next()))
}

// A consumer that does not read holds up nobody but itself: what it was given times out and goes to the others.
func TestDB47SlowReader(t *testing.T) {
	t.Parallel()
	patient := danubetest.DefaultFailurePolicy()
	patient.MaxRedeliveries = 1000
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		id := c.subscribe(orders, "s", "slow", shared)
		slow, err := c.ReceiveMessages(c.ctx, &danubepb.ReceiveRequest{ConsumerId: id})
		require.NoError(t, err)
		_, err = slow.Header()
		require.NoError(t, err)
		r := c.consume(orders, "s", "c", shared)
		other := c.consume(orders, "t", "c", exclusive)
		const n = 40
		big := strings.Repeat("x", 100<<10)
		for range n {
			p.send(big)
			other.consumeAll(big)
		}
		seen := make(map[uint64]bool)
		for len(seen) < n {
			select {
			case m := <-r.in:
				seen[offset(m)] = true
				r.ack(m)
			case <-time.After(24 * time.Hour):
				require.FailNow(t, "no message came", "%d of %d", len(seen), n)
			}
		}
	}, danubetest.Policy(patient))
}
