package connect

import "sync"

// latest passes positions from one goroutine to another that may be slower: it sees the newest, not all.
type latest struct {
	mu       sync.Mutex
	changed  sync.Cond
	position Position
	fresh    bool
	closed   bool
}

func newLatest() *latest {
	l := new(latest)
	l.changed.L = &l.mu
	return l
}

func (l *latest) set(p Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.position, l.fresh = p, true
	l.changed.Signal()
}

func (l *latest) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.changed.Signal()
}

// wait gives the newest position not yet given; ok is false once latest is closed and all was given.
func (l *latest) wait() (p Position, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.fresh && !l.closed {
		l.changed.Wait()
	}
	if !l.fresh {
		return nil, false
	}
	l.fresh = false
	return l.position, true
}
