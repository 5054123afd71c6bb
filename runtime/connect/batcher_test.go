package connect

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
)

// batchBench is a batcher, and a count of held messages as the broker would have it.
type batchBench struct {
	*batcher
	unacked int
}

func newBatchBench(size, bytes int) *batchBench {
	b := new(batchBench)
	b.batcher = &batcher{
		queue: queue.New[item](), size: size, bytes: bytes, timeout: time.Second, lastWrite: 10 * time.Second,
		held: func() int { return b.unacked }, window: new(window),
	}
	return b
}

func (b *batchBench) arrive(n, bytes int) {
	for range n {
		b.queue.Push(item{record: Record{Value: make([]byte, bytes)}})
		b.unacked++
	}
}

func (b *batchBench) take(t *testing.T) (n int, waited time.Duration) {
	t.Helper()
	start := time.Now()
	batch, err := b.batch(t.Context())
	require.NoError(t, err)
	b.unacked -= batch.len()
	return batch.len(), time.Since(start)
}

func TestABatchEndsAtItsBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatchBench(3, 100)
		b.arrive(7, 1)
		for _, want := range []int{3, 3} {
			n, waited := b.take(t)
			require.Equal(t, want, n)
			require.Zero(t, waited)
		}
		n, waited := b.take(t) // the rest waits for more, at most batch_timeout
		require.Equal(t, 1, n)
		require.Equal(t, time.Second, waited)

		b = newBatchBench(10, 100)
		b.arrive(1, 1000) // larger than the bound: alone
		b.arrive(2, 60)
		for range 2 {
			n, waited = b.take(t)
			require.Equal(t, 1, n)
			require.Zero(t, waited)
		}
	})
}

// A timer that waits while the window is full makes window/timer messages a second at most: the trap of this broker.
func TestAFullWindowIsLearnedAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatchBench(1000, 1<<20)
		b.arrive(10, 1)
		n, waited := b.take(t)
		require.Equal(t, 10, n)
		require.Equal(t, time.Second, waited, "nothing is known yet")
		for range 5 {
			b.arrive(10, 1)
			n, waited = b.take(t)
			require.Equal(t, 10, n)
			require.Zero(t, waited, "ten are all that the broker gives")
		}
		b.arrive(25, 1) // more than was thought possible: the guess was wrong
		n, waited = b.take(t)
		require.Equal(t, 25, n)
		require.Equal(t, time.Second, waited)
	})
}

func TestABatchWaitsNoLongerThanAWriteTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatchBench(1000, 1<<20)
		b.lastWrite = 20 * time.Millisecond
		b.arrive(1, 1)
		_, waited := b.take(t)
		require.Equal(t, 20*time.Millisecond, waited)
		b.lastWrite = 0
		b.window = new(window)
		b.arrive(1, 1)
		_, waited = b.take(t)
		require.Equal(t, shortestWait, waited)
	})
}

func TestAStopEndsTheWaitForABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		b := newBatchBench(10, 100)
		b.arrive(1, 1)
		_, err := b.batch(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
