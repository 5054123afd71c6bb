package main

import (
	"errors"
	"time"
)

// gather fills b with lines, one block of each file in turn, until it is full or no file has more.
func (s *source) gather(b *batch, now time.Time) {
	for more := true; more; {
		more = false
		for range s.contents {
			if b.full() {
				return
			}
			c := s.contents[s.turn%len(s.contents)]
			s.turn++
			more = s.drain(c, b, now) || more
		}
	}
}

// drain moves the lines that were read from c to b, and those of one more block. It tells whether there was one.
func (s *source) drain(c *content, b *batch, now time.Time) bool {
	if c.f == nil || c.stale {
		return false
	}
	if c.ready && s.overtaken(c) {
		c.stale, s.nextScan = true, now
		return false
	}
	if !s.released(c, b, now) {
		return false
	}
	if c.copyOf != nil {
		return s.compare(c)
	}
	if c.cut(b, s.lines); b.full() || !c.ready {
		return false
	}
	more, err := c.fill()
	switch {
	case errors.Is(err, errReplaced):
		c.stale, s.nextScan = true, now
	case err != nil:
		c.fail(err, now.Add(s.cfg.PollInterval))
	case more && s.holdCopy(c):
	case more:
		c.empty = false
		c.cut(b, s.lines)
	default:
		c.rest(b, !s.cfg.Follow || !c.ending.IsZero() && !now.Before(c.ending))
	}
	return more
}

// released tells whether what stands before c was published to its end. It was, if the file before has nothing unread although c
// already held lines: then its writer has gone over to c.
func (s *source) released(c *content, b *batch, now time.Time) bool {
	p := c.after
	if p == nil {
		return true
	}
	if !c.ready {
		return false
	}
	begun := c.length() > 0
	if p.copyOf == nil {
		p.ready, p.empty = true, false
		s.drain(p, b, now)
		if !p.empty {
			return false
		}
	}
	if !begun {
		c.ready, c.empty = false, true
		return false
	}
	c.after = nil
	return !b.full()
}
