package danubetest_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// took is how long f takes on the clock of the bubble.
func took(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

func TestDB50Delay(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		c.broker.Delay("SendMessage", 3*time.Second, 2)
		require.Equal(t, 6*time.Second, took(func() { p.send("m000", "m001", "m002") }))

		c.broker.Delay("SendMessage", time.Second, danubetest.Always)
		require.Equal(t, 2*time.Second, took(func() { p.send("m003", "m004") }))
		c.broker.Delay("SendMessage", time.Second, 0)
		require.Zero(t, took(func() { p.send("m005") }))

		c.broker.Delay("ReceiveMessages", time.Minute, 1)
		require.Equal(t, time.Minute, took(func() { c.consume(orders, "s", "c", exclusive) }))
	})
}

func TestDB50DelayedCallThatIsGivenUpHasNoEffect(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		c.broker.Delay("SendMessage", time.Hour, 1)
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		defer cancel()
		_, err := c.SendMessage(ctx, p.message("given up"))
		requireStatus(t, err, codes.DeadlineExceeded, "")
		time.Sleep(2 * time.Hour)
		require.Zero(t, c.broker.Published(orders))
		require.Empty(t, c.broker.Faults())
	})
}

func TestDB50LoseAcks(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send("m000", "m001")
		require.True(t, c.broker.LoseAcks(orders, "s", 1))
		r.consumeAll("m000", "m001") // the first of the two answers is a lie
		require.Equal(t, 1, c.broker.Unacked(orders, "s"))
		r.quiet(5 * time.Second)
		r.consumeAll("m000") // it comes again after the ack timeout
		require.Zero(t, c.broker.Unacked(orders, "s"))

		require.True(t, c.broker.LoseAcks(orders, "s", danubetest.Always))
		p.send("m002")
		for range 3 {
			r.consumeAll("m002")
		}
		require.True(t, c.broker.LoseAcks(orders, "s", 0))
		r.consumeAll("m002")
		require.Zero(t, c.broker.Unacked(orders, "s"))
		require.False(t, c.broker.LoseAcks(orders, "none", 1))
	}, danubetest.Policy(danubetest.FailurePolicy{MaxRedeliveries: 9, AckTimeout: 5 * time.Second, BaseDelay: time.Second, MaxDelay: time.Second}))
}

// A run that stops at a seeded point: what was stored is there after the restart, what comes later is not.
func TestDB50StopAfter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		bubble(t, func(t *testing.T, c *client) {
			n := 1 + rand.New(rand.NewPCG(seed, 0)).IntN(20)
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			c.broker.StopAfter(n)
			for range n - 1 {
				p.send("x")
				require.False(t, c.broker.Stopped())
			}
			_, err := c.SendMessage(c.ctx, p.message("the last one"))
			requireStatus(t, err, codes.Unavailable, "")
			require.True(t, c.broker.Stopped())
			require.Equal(t, n, c.broker.Published(orders))
			<-r.ended
			require.Error(t, r.err)

			ctx, cancel := context.WithTimeout(c.ctx, time.Hour)
			defer cancel()
			_, err = c.SendMessage(ctx, p.message("too late"))
			requireStatus(t, err, codes.DeadlineExceeded, "")
			require.Equal(t, n, c.broker.Published(orders))

			c.broker.Restart(true)
			require.False(t, c.broker.Stopped())
			c.producer(orders, "p", reliable).send("m000")
			require.Equal(t, n+1, c.broker.Published(orders))
			require.Equal(t, "the last one", string(c.broker.Messages(orders)[n-1].Payload))
		})
	}
}

func TestDB50StopAfterCanBeTakenBack(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	c.broker.StopAfter(2)
	p.send("m000")
	c.broker.StopAfter(0)
	p.send("m001", "m002")
	require.False(t, c.broker.Stopped())
}

func TestFaultsAreListedAndCleared(t *testing.T) {
	t.Parallel()
	c := start(t)
	b := c.broker
	require.Empty(t, b.Faults())
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	b.Refuse("Ack", codes.Internal, 3)
	b.Refuse("Nack", codes.Internal, 0)
	b.Delay("Nack", time.Second, danubetest.Always)
	b.CutOff("nobody")
	b.StopAfter(9)
	b.Duplicate(orders, 4)
	b.LoseAcks(orders, "s", 2)
	b.CloseHealth(orders, "s", "c")
	want := []danubetest.Fault{
		{Kind: "refuse", Target: "Ack", Detail: "calls end with Internal", Left: 3},
		{Kind: "delay", Target: "Nack", Detail: "calls wait 1s", Left: danubetest.Always},
		{Kind: "cut-off", Target: "nobody", Detail: "its connections are closed", Left: danubetest.Always},
		{Kind: "stop-after", Detail: "publishes until the broker stops", Left: 9},
		{Kind: "duplicate", Target: orders, Detail: "deliveries come twice", Left: 4},
		{Kind: "lose-acks", Target: orders + " s", Detail: "acknowledgements are answered and forgotten", Left: 2},
		{Kind: "close-health", Target: orders + " s c", Detail: "HealthCheck answers CLOSE until it subscribes again", Left: danubetest.Always},
	}
	require.Empty(t, cmp.Diff(want, b.Faults()))

	b.ClearFaults()
	require.Empty(t, b.Faults())
	p.send("m000")
	r.consumeAll("m000")
	require.Equal(t, danubepb.HealthCheckResponse_OK, c.health(danubepb.HealthCheckRequest_Consumer, r.id))
	require.Equal(t, 1, b.Delivered(orders, "s"))

	b.StopAfter(1)
	_, err := c.SendMessage(c.ctx, p.message("the last one"))
	requireStatus(t, err, codes.Unavailable, "")
	b.ClearFaults()
	require.Equal(t, "stop", b.Faults()[0].Kind)
}
