package queue_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
)

func TestQueueKeepsOrderAndLosesNothing(t *testing.T) {
	t.Parallel()
	const n = 10_000
	q := queue.New[int]()
	var producers sync.WaitGroup
	producers.Go(func() {
		for i := range n {
			q.Push(i)
		}
	})
	for want := range n {
		got, err := q.Pop(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	producers.Wait()
	_, ok := q.TryPop()
	require.False(t, ok)
	require.Zero(t, q.Len())
}

func TestQueueServesSeveralReaders(t *testing.T) {
	t.Parallel()
	const n, readers = 10_000, 4
	q := queue.New[int]()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	seen := make(map[int]bool)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for {
				v, err := q.Pop(ctx)
				if err != nil {
					return
				}
				mu.Lock()
				seen[v] = true
				if len(seen) == n {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		q.Push(i)
	}
	wg.Wait()
	require.Len(t, seen, n)
}
