// Package queue has an unbounded first-in first-out queue between goroutines.
//
// It is for streams that must always be read: whoever fills it never blocks, so its bound must come from elsewhere, such as the
// broker's window of unacknowledged messages.
package queue

import (
	"context"
	"sync"
)

// A Queue passes values in order. Use New; all methods may be called concurrently.
type Queue[T any] struct {
	mu    sync.Mutex
	items []T
	head  int
	ready chan struct{} // holds a token while items may be there
}

// New makes an empty queue.
func New[T any]() *Queue[T] {
	return &Queue[T]{ready: make(chan struct{}, 1)}
}

// Push appends v and never blocks.
func (q *Queue[T]) Push(v T) {
	q.mu.Lock()
	if len(q.items) == cap(q.items) && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:]) // reuse what was read, or a queue that never empties would only grow
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
	q.mu.Unlock()
	q.signal()
}

// TryPop takes the oldest value; ok is false when there is none.
func (q *Queue[T]) TryPop() (v T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.items) {
		return v, false
	}
	var zero T
	v, q.items[q.head] = q.items[q.head], zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else {
		q.signal() // a token for what is left
	}
	return v, true
}

// Pop waits for a value, or until ctx is done and returns its error.
func (q *Queue[T]) Pop(ctx context.Context) (T, error) {
	for {
		if v, ok := q.TryPop(); ok {
			return v, nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			var zero T
			return zero, ctx.Err()
		}
	}
}

// Ready is readable when values may have come since the last TryPop that found none.
func (q *Queue[T]) Ready() <-chan struct{} { return q.ready }

// Len counts the waiting values.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) - q.head
}

func (q *Queue[T]) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
