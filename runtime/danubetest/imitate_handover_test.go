package danubetest_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestDB55HandOverWaitsForAConsumerWithoutStream(t *testing.T) {
	t.Parallel()
	imitates(t, "hand-over", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		a := c.consume(orders, "s", "a", shared)
		b := c.subscribe(orders, "s", "b", shared)
		accepted, came := 0, 0
		for accepted < 60 && p.trySend(fmt.Sprint("m", accepted)) == ok {
			accepted++
			for _, m := range a.came(0) {
				came++
				a.ack(m)
			}
			time.Sleep(time.Millisecond)
			for _, m := range a.came(0) {
				came++
				c.tryAck(orders, "s", offset(m))
			}
		}
		line := says(fmt.Sprint(came), fmt.Sprint(accepted < 60), c.askSubscribe(orders, "s", "a", shared))
		late := c.receive(orders, "s", b)
		time.Sleep(time.Second)
		return append(line, p.trySend("last"), fmt.Sprint(len(late.in) > 4))
	}, says("5", "true", hangs, ok, "true"), says("60", "false", ok, ok, "false"), patientPolicy())
}

// notReading opens a stream of a consumer on a connection of its own, reads nothing from it and returns it with what cuts it off.
func notReading(t *testing.T, c *client, id uint64) (stream grpc.ServerStreamingClient[danubepb.StreamMessage], cut func()) {
	t.Helper()
	var raw net.Conn
	conn := dial(t, "passthrough:///memory", grpc.WithInitialWindowSize(64<<10-1), grpc.WithInitialConnWindowSize(1<<20),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (nc net.Conn, err error) {
			raw, err = c.dial(ctx)
			return raw, err
		}))
	ctx, cancel := context.WithTimeout(c.ctx, time.Hour)
	t.Cleanup(cancel)
	stream, err := danubepb.NewConsumerServiceClient(conn).ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: id})
	require.NoError(t, err)
	_, err = stream.Header()
	require.NoError(t, err)
	return stream, func() {
		require.NoError(t, raw.Close())
		require.NoError(t, conn.Close())
		time.Sleep(time.Second)
	}
}

// stall publishes until the broker makes it wait, and tells how many were accepted.
func (s *sender) stall(limit int) int {
	kib := strings.Repeat("x", 1<<10)
	for n := range limit {
		if s.trySend(kib) != ok {
			return n
		}
	}
	return limit
}

func TestDB55HandOverWaitsForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	imitates(t, "hand-over", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		notReading(t, c, c.subscribe(orders, "s", "c", exclusive))
		n := p.stall(400)
		t.Logf("publishers wait at message %d", n)
		return says(fmt.Sprint(n >= 90 && n <= 120), fmt.Sprint(n < 400))
	}, says("true", "true"), says("false", "false"), danubetest.Window(1000), patientPolicy())
}

func TestDB55HandOverHealsWhileTheQueueHasRoom(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		_, cut := notReading(t, c, c.subscribe(orders, "s", "c", exclusive))
		published := 0
		for c.broker.Unacked(orders, "s") == published { // until the hand-over waits
			require.Equal(t, ok, p.trySend(strings.Repeat("x", 1<<10)))
			published++
			time.Sleep(time.Millisecond)
		}
		p.send(numbers(0, 20)...)
		published += 20
		cut()
		r := c.consume(orders, "s", "c", exclusive)
		seen := make(map[uint64]bool)
		for came := r.came(time.Second); len(came) > 0; came = r.came(time.Second) {
			slices.SortFunc(came, func(a, b *danubepb.StreamMessage) int { return cmp.Compare(offset(a), offset(b)) }) // the newest last
			for _, m := range came {
				seen[offset(m)] = true
				r.ack(m)
			}
		}
		require.Len(t, seen, published)
		require.Zero(t, c.broker.Unacked(orders, "s"))
	}, danubetest.Imitate("v0.15"), danubetest.Window(1000), patientPolicy())
}

func TestDB55HandOverIsStuckForGoodWithAFullQueue(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		id := c.subscribe(orders, "s", "c", exclusive)
		_, cut := notReading(t, c, id)
		p.stall(400)
		cut()
		for range 3 {
			require.Equal(t, hangs, p.trySend("x"))
			require.Equal(t, hangs, c.askSubscribe(orders, "s", "c", exclusive))
			require.Equal(t, "NotFound", c.unsubscribe(orders, "s"))
			time.Sleep(time.Minute)
		}
		_, err := c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: orders})
		require.NoError(t, err)
		c.producer(orders, "p", reliable).send("x")
		require.Equal(t, ok, c.askSubscribe(orders, "s", "c", exclusive))
	}, danubetest.Imitate("v0.15"), danubetest.Window(1000), patientPolicy())
}

func TestImitatingBrokerEndsInTime(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		notReading(t, c, c.subscribe(orders, "s", "c", exclusive))
		p.stall(400)
		ended := make(chan error, 2)
		go func() {
			_, err := p.c.SendMessage(c.ctx, p.message("x"))
			ended <- err
		}()
		go func() {
			_, err := c.Ack(c.ctx, &danubepb.AckRequest{MsgId: &danubepb.MsgID{TopicName: orders}, SubscriptionName: "s"})
			ended <- err
		}()
		time.Sleep(time.Second)
		begin := time.Now()
		c.broker.Close()
		require.Less(t, time.Since(begin), 2*time.Second)
		<-ended
		<-ended
	}, danubetest.Imitate("v0.15"), danubetest.Window(1000), patientPolicy())
}
