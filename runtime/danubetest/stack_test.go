package danubetest_test

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// It runs alone, since it looks at the whole process.
func TestAReceiveStreamThatWaitsIsSmall(t *testing.T) {
	const streams = 500
	c := start(t, danubetest.Logger(slog.New(slog.NewTextHandler(io.Discard, nil)))) // which takes more stack than none
	p := c.producer(orders, "p", reliable)
	before := stackBytes()
	for i := range streams {
		sub := fmt.Sprint(i)
		stream, err := c.ReceiveMessages(c.ctx, &danubepb.ReceiveRequest{ConsumerId: c.subscribe(orders, sub, "c", exclusive)})
		require.NoError(t, err)
		_, err = stream.Header()
		require.NoError(t, err)
		defer func() {
			m, err := stream.Recv()
			require.NoError(t, err)
			require.Equal(t, "m", string(m.GetPayload()))
		}()
	}
	p.send("m")
	c.waitFor(func() bool {
		s, _ := c.broker.Subscription(orders, fmt.Sprint(streams-1))
		return s.Delivered == 1
	})
	// The client's side of a stream is part of it, and the race detector takes more: 8 to 13 KiB. Were messages sent on the stack that
	// waits it would be 15 KiB and more.
	require.LessOrEqual(t, (stackBytes()-before)/streams, uint64(14<<10), "bytes of stack for each stream")
}

// stackBytes is how much memory the stacks of all goroutines take.
func stackBytes() uint64 {
	runtime.GC()
	runtime.GC() // stacks are halved, at most, each time
	sample := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
