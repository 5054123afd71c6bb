package danubetest_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestDB50Refuse(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	c.broker.Refuse("SendMessage", codes.Unavailable, 2)
	c.broker.Refuse("ReceiveMessages", codes.ResourceExhausted, 1)
	for range 2 {
		_, err := c.SendMessage(c.ctx, p.message("refused"))
		requireStatus(t, err, codes.Unavailable, "refused by a test")
	}
	id := c.subscribe(orders, "s", "c", exclusive)
	stream, err := c.ReceiveMessages(c.ctx, &danubepb.ReceiveRequest{ConsumerId: id})
	require.NoError(t, err)
	_, err = stream.Recv()
	requireStatus(t, err, codes.ResourceExhausted, "refused by a test")

	c.broker.Refuse("SendMessage", codes.Internal, 5)
	c.broker.Refuse("SendMessage", codes.Internal, 0)
	r := c.receive(orders, "s", id)
	p.send("m000")
	r.expect("m000")
	require.Equal(t, 1, c.broker.Published(orders))
}

func TestDB50DropStreams(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	p.send("m000")
	r.expect("m000")
	c.broker.DropStreams()
	<-r.ended
	requireStatus(t, r.err, codes.Unavailable, "connection lost")
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Consumer, r.id))
	p.send("m001")
	r = c.receive(orders, "s", r.id)
	r.consumeAll("m000", "m001")
}

func TestDB50DuplicateAndRedeliver(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	require.True(t, c.broker.Duplicate(orders, 1))
	p.send("m000", "m001")
	m := r.expect("m000", "m000", "m001")
	require.True(t, c.broker.Redeliver(orders, "s"))
	r.expect("m000", "m001")
	r.ack(m)
	require.False(t, c.broker.Duplicate("/default/none", 1))
	require.False(t, c.broker.Redeliver(orders, "none"))
	require.Equal(t, 5, c.broker.Delivered(orders, "s"))
}

func TestDB50RestartKeepsOrForgets(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{true, false} {
		t.Run(map[bool]string{true: "keep", false: "forget"}[keep], func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			p.send("m000", "m001", "m002")
			r.expect("m000")
			r.ack(r.expect("m001"))
			c.broker.Restart(keep)
			<-r.ended
			require.Error(t, r.err)
			err := settled(func() error {
				_, err := c.SendMessage(c.ctx, p.message("x"))
				return err
			})
			requireStatus(t, err, codes.NotFound, "The producer with id")
			if !keep {
				require.Empty(t, c.broker.Topics())
				_, err := c.lookup(orders)
				requireStatus(t, err, codes.NotFound, "Unable to find")
				return
			}
			p = c.producer(orders, "p", reliable)
			p.send("m003")
			again := c.consume(orders, "s", "another", shared) // seat and type are forgotten
			require.NotEqual(t, r.id, again.id)
			for _, want := range []uint64{0, 2, 3} {
				m := again.next()
				require.Equal(t, want, offset(m))
				again.ack(m)
			}
			s, _ := c.broker.Subscription(orders, "s")
			require.Equal(t, shared, s.Type)
			require.Zero(t, s.Backlog)
		})
	}
}

func TestMessagesShowsWhatWasSent(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.Nil(t, c.broker.Messages(orders))
	p := c.producer(orders, "p", reliable)
	m := p.message("m000")
	m.Attributes = map[string]string{"a": "b"}
	p.publish(m)
	p.sendKey("k", "m001")
	want := []danubetest.Message{
		{Topic: orders, Offset: 0, Payload: []byte("m000"), Attributes: map[string]string{"a": "b"}, Producer: "p", PublishTime: time.UnixMilli(1_700_000_000_001)},
		{Topic: orders, Offset: 1, Payload: []byte("m001"), Key: "k", Producer: "p", PublishTime: time.UnixMilli(1_700_000_000_002)},
	}
	require.Empty(t, cmp.Diff(want, c.broker.Messages(orders)))
	r := c.consume(ticks2(c), "s", "c", exclusive)
	require.Empty(t, c.broker.Messages(r.topic))
}

// ticks2 makes an empty topic.
func ticks2(c *client) string {
	c.producer(ticks, "p", nonReliable)
	return ticks
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	c := start(t, danubetest.History(3))
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	p.send(numbers(0, 10)...)
	require.Len(t, c.broker.Messages(orders), 10, "unread messages are no history")
	r.consumeAll(numbers(0, 10)...)
	kept := c.broker.Messages(orders)
	require.Len(t, kept, 3)
	require.Equal(t, uint64(7), kept[0].Offset)
	require.Equal(t, 10, c.broker.Published(orders))
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.DeadlineExceeded)
	require.ErrorIs(t, c.broker.WaitFor(ctx, func() bool { return false }), context.DeadlineExceeded)
	require.NoError(t, c.broker.WaitFor(ctx, func() bool { return true }))
}

func TestServeTwice(t *testing.T) {
	t.Parallel()
	b, err := danubetest.New()
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.Serve(l, nil))
	require.ErrorContains(t, b.Serve(l, nil), "serves already")
	require.Empty(t, b.AdminURL())
	b.Close()
	b.Close()
	require.ErrorContains(t, b.Serve(l, nil), "closed")
}

// Close is quick although a client keeps its stream open and does not read it.
func TestCloseWithOpenStreams(t *testing.T) {
	t.Parallel()
	b, err := danubetest.New(danubetest.Window(1000))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.Serve(l, nil))
	conn := dial(t, l.Addr().String())
	c := newClient(t, b, conn, conn)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	id := c.subscribe(orders, "t", "c", exclusive)
	unread, err := c.ReceiveMessages(c.ctx, &danubepb.ReceiveRequest{ConsumerId: id})
	require.NoError(t, err)
	_, err = unread.Header()
	require.NoError(t, err)
	for range 100 {
		p.send(string(make([]byte, 64<<10)))
	}
	begin := time.Now()
	b.Close()
	require.Less(t, time.Since(begin), 2*time.Second)
	<-r.ended
	require.Error(t, r.err)
}
