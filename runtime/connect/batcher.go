package connect

import (
	"context"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
)

// shortestWait is how long a batch waits for its next record at least; the broker refills its window within that time.
const shortestWait = 500 * time.Microsecond

// A batcher cuts a stream of records into batches. A batch ends
//   - at size records or bytes of payload,
//   - as soon as no more can come: the broker's window of unacknowledged messages is full (see window),
//   - when it has waited for more as long as the last write took, at most timeout: longer would add more delay than it saves work.
type batcher struct {
	queue   *queue.Queue[item]
	size    int
	bytes   int
	timeout time.Duration
	held    func() int // messages that the broker waits for
	window  *window
	fill    bool // wait for size or bytes as long as timeout allows

	lastWrite time.Duration
	next      *item // taken from the queue, too large for the batch before
	current   batch
}

// batch waits for the next batch, or until ctx is done and returns its error; nothing that was taken is lost then, because what is
// not settled comes again. The batch is valid until the next call.
func (b *batcher) batch(ctx context.Context) (batch, error) {
	b.current.reset()
	first, err := b.first(ctx)
	if err != nil {
		return batch{}, err
	}
	b.current.add(first)
	bytes := len(first.record.Value)
	timer := time.NewTimer(b.patience())
	defer timer.Stop()
	for b.current.len() < b.size {
		i, ok := b.queue.TryPop()
		switch {
		case ok && bytes+len(i.record.Value) > b.bytes:
			b.next = &i
			return b.current, nil
		case ok:
			b.current.add(i)
			bytes += len(i.record.Value)
			continue
		case !b.fill && b.window.isFull(b.held()):
			return b.current, nil
		}
		select {
		case <-b.queue.Ready():
		case <-timer.C:
			b.window.quietAt(b.held())
			return b.current, nil
		case <-ctx.Done():
			return batch{}, ctx.Err()
		}
	}
	return b.current, nil
}

// patience is how long a batch waits for more after its first record.
func (b *batcher) patience() time.Duration {
	if b.fill {
		return b.timeout
	}
	return min(b.timeout, max(b.lastWrite, shortestWait))
}

func (b *batcher) first(ctx context.Context) (item, error) {
	if i := b.next; i != nil {
		b.next = nil
		return *i, nil
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
