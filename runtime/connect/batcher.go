package connect

import (
	"context"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
)

// shortestWait is how long a batch waits for its next record at least; the broker refills its window within that time.
const shortestWait = 500 * time.Microsecond

// A batcher cuts a stream of deliveries into batches. A batch ends
//   - at size records or bytes of payload,
//   - as soon as no more can come: the broker's window of unacknowledged messages is full (see window),
//   - when it has waited for more as long as the last write took, at most timeout: longer would add more delay than it saves work.
type batcher struct {
	queue   *queue.Queue[danube.Delivery]
	size    int
	bytes   int
	timeout time.Duration
	held    func() int // messages that the broker waits for
	window  *window

	lastWrite time.Duration
	next      *danube.Delivery // taken from the queue, too large for the batch before
}

// batch waits for the next batch, or until ctx is done and returns its error; nothing that was taken is lost then, because what is
// not acknowledged comes again.
func (b *batcher) batch(ctx context.Context) ([]danube.Delivery, error) {
	first, err := b.first(ctx)
	if err != nil {
		return nil, err
	}
	batch, bytes := []danube.Delivery{first}, len(first.Payload)
	timer := time.NewTimer(min(b.timeout, max(b.lastWrite, shortestWait)))
	defer timer.Stop()
	for len(batch) < b.size {
		d, ok := b.queue.TryPop()
		switch {
		case ok && bytes+len(d.Payload) > b.bytes:
			b.next = &d
			return batch, nil
		case ok:
			batch, bytes = append(batch, d), bytes+len(d.Payload)
			continue
		case b.window.isFull(b.held()):
			return batch, nil
		}
		select {
		case <-b.queue.Ready():
		case <-timer.C:
			b.window.quietAt(b.held())
			return batch, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return batch, nil
}

func (b *batcher) first(ctx context.Context) (danube.Delivery, error) {
	if d := b.next; d != nil {
		b.next = nil
		return *d, nil
	}
	return b.queue.Pop(ctx)
}

// A window learns how many unacknowledged messages the broker allows, which no client is told: when nothing more comes while n are
// held, n may be all. If more than that are seen later, it was not.
type window struct {
	mu   sync.Mutex
	full int // 0 while unknown
}

func (w *window) isFull(held int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if held > w.full {
		w.full = 0
	}
	return w.full > 0 && held == w.full
}

func (w *window) quietAt(held int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = held
}
