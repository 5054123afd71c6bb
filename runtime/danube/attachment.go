package danube

import (
	"context"
	"errors"
	"time"
)

const (
	// evictedAfter is less than the 3 s after which the real broker forgets a Key-Shared consumer whose stream is closed. Back under its old
	// name it would get nothing ever again, with every sign of health.
	evictedAfter = 2 * time.Second
	// unseenAfter is longer than askKeyedEvery and shorter than the 30 s that keepalive takes to find a dead connection. A stream of which
	// nothing was seen for so long may have been lost to the broker long before it ended here.
	unseenAfter = 20 * time.Second
)

// attached notes that the stream of consumer id is open.
func (s *subscription) attached(r route, id uint64) {
	s.mu.Lock()
	// Another id for the same name means that the broker's memory of the subscription is new: a restart or a reload of the topic.
	newLife := s.known && id != s.lastID
	s.lastID, s.known, s.route = id, true, r
	s.opened, s.suspect = time.Now(), false
	s.mu.Unlock()
	s.acker.opened(r, newLife)
	s.health.set(nil)
	s.consumer.poke()
}

// detached notes that it has ended, and why.
func (s *subscription) detached(why error) {
	s.health.set(why)
	s.acker.mu.Lock()
	came := s.acker.lastDelivery
	s.acker.mu.Unlock()
	s.mu.Lock()
	seen := later(later(s.opened, came), s.healthy)
	s.ended, s.opened = time.Now(), time.Time{}
	s.suspect = errors.Is(why, errDetached) || s.ended.Sub(seen) > unseenAfter
	s.mu.Unlock()
	s.acker.closed()
	s.consumer.poke()
}

// answered notes how a Subscribe ended that began at begun, its lookup having been answered.
func (s *subscription) answered(begun time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil || !isTimeout(err):
		s.unanswered = time.Time{}
	case s.unanswered.IsZero():
		s.unanswered = begun
	}
}

// evicted tells whether the broker may have given up the consumer that it answers with id again. An id that is new is a new consumer.
func (s *subscription) evicted(id uint64) bool {
	if s.consumer.settings.Type != KeyShared {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known && id == s.lastID && (s.suspect || time.Since(s.ended) > evictedAfter)
}

// rename subscribes under a name that the broker has not seen yet.
func (s *subscription) rename(ctx context.Context, r route, id uint64) (route, uint64, error) {
	// Subscribed and without a stream the old consumer would hold the subscription up, were it not evicted after all.
	old, cancel := context.WithTimeout(ctx, callTimeout)
	if stream, err := openStream(old, r, id); err == nil {
		_, _ = stream.Header() // that it is open, or that it cannot be opened, which serves as well
	}
	cancel()
	s.names++
	s.mu.Lock()
	s.known = false
	s.mu.Unlock()
	r, id, err := s.subscribe(ctx)
	return r, id, err
}
