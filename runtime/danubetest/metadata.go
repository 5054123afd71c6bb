package danubetest

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metadataLog counts the entries that the real broker's metadata log would have. It is a leaf in the lock order.
type metadataLog struct {
	mu      sync.Mutex
	since   time.Time // when this life of the process began
	entries int
	down    atomic.Bool // the broker did not start again; asked by every call
}

// How many entries things cost, and how many the real broker can start with.
const (
	entriesPerMinute   = 14
	entriesOfTopic     = 6 // and one for its first producer
	entriesOfProducer  = 1
	entriesOfConsumer  = 3
	entriesOfCursor    = 1
	entriesAtMost      = 1000
	metadataLimitError = "Failed to get log entries, expected index: [0, 64), got [None, None)"
)

// add counts n entries.
func (m *metadataLog) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries += n
}

// applied is how many entries there are by now.
func (m *metadataLog) applied() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries + int(time.Since(m.since)*entriesPerMinute/time.Minute)
}

// restart begins another life, or not if there are too many entries.
func (m *metadataLog) restart(limited bool) (ok bool) {
	applied := m.applied()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries, m.since = applied, time.Now()
	m.down.Store(limited && applied > entriesAtMost)
	return !m.down.Load()
}

// forget begins with an empty log.
func (m *metadataLog) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries, m.since = 0, time.Now()
	m.down.Store(false)
}

// running is an error when the broker did not start again. A client sees that nobody answers.
func (m *metadataLog) running() error {
	if m.down.Load() {
		return status.Error(codes.Unavailable, "the broker did not start: "+metadataLimitError)
	}
	return nil
}
