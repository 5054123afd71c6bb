package danubetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// swapped publishes and acknowledges bursts that overlap with a publish that is never answered, and counts the places at which the
// offset steps back.
func swapped(t *testing.T, opts ...Option) (steps int) {
	t.Helper()
	b, err := New(opts...)
	require.NoError(t, err)
	defer b.Close()
	topic, err := b.createTopic("/default/orders", true)
	require.NoError(t, err)
	c, err := topic.subscribe(t.Context(), &danubepb.ConsumerRequest{Subscription: "s", ConsumerName: "c"}, nil)
	require.NoError(t, err)
	st := &stream{ctx: context.Background(), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	require.NoError(t, c.open(t.Context(), st))
	topic.mu.Lock()
	topic.publishing++
	topic.mu.Unlock()
	var offsets []uint64
	for range 50 {
		for range 200 {
			m := &danubepb.StreamMessage{MsgId: &danubepb.MsgID{TopicName: topic.name}}
			require.NoError(t, topic.publish(t.Context(), m))
		}
		for batch := c.take(st, nil); len(batch) > 0; batch = c.take(st, nil) {
			for _, m := range batch {
				offsets = append(offsets, m.offset)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				require.NoError(t, topic.ack(ctx, "s", m.offset))
				cancel()
			}
		}
	}
	seen := make(map[uint64]bool)
	for i, offset := range offsets {
		seen[offset] = true
		if i > 0 && offset < offsets[i-1] {
			steps++
		}
	}
	require.Len(t, seen, 50*200, "nothing is lost")
	require.Len(t, offsets, 50*200, "nothing comes twice")
	return steps
}

func TestDB71Reorder(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 20, swapped(t, Trap("reorder")), 15)
	require.Zero(t, swapped(t))
	require.Zero(t, swapped(t, Trap("ring")))
}
