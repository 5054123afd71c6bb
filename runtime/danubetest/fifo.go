package danubetest

// fifo is a queue whose front can be removed without moving the rest each time. The zero value is empty.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

// at returns the element at place i, counted from the front.
func (q *fifo[T]) at(i int) T { return q.items[q.head+i] }

// popBack removes and returns the last element; the queue must not be empty.
func (q *fifo[T]) popBack() T {
	last := len(q.items) - 1
	v := q.items[last]
	var zero T
	q.items[last] = zero
	q.items = q.items[:last]
	return v
}

// pop removes and returns the front; the queue must not be empty.
func (q *fifo[T]) pop() T {
	v := q.items[q.head]
	var zero T
	q.items[q.head] = zero
	q.head++
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 1024 {
			q.items = nil // a burst is over: give its memory back
		}
	case q.head > 64 && q.head*2 > len(q.items):
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}
