package danubetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// Disk sets how many bytes the message files of all reliable topics together may take in the data directory; without it that is as
// much as there is. Beyond it publishes to reliable topics are answered with RESOURCE_EXHAUSTED until subscriptions acknowledge or
// the [Retention] ends. What [History] keeps gives way to new messages. Beside the messages the directory needs a few MiB. It does not
// go together with the trap offsets-restart, under which the broker keeps what the real one does.
func Disk(maxBytes int64) Option {
	return func(s *settings) error {
		if maxBytes < 1 {
			return fmt.Errorf("disk of %d bytes is not positive", maxBytes)
		}
		s.disk = maxBytes
		return nil
	}
}

// diskRoom is the budget of a data directory.
type diskRoom struct {
	budget
	scarce atomic.Bool  // a message had no room: what can be freed is
	sought atomic.Int64 // when room was sought last, in nanoseconds
}

// Sizes of segment files: small ones are freed sooner.
const (
	minSegment = 64 << 10
	maxSegment = 16 << 20
	segments   = 16 // as many files are in a full budget, at least
)

// segmentBytes is the size of segment files.
func (r *diskRoom) segmentBytes() int64 {
	if r.limit == 0 {
		return maxSegment
	}
	return min(maxSegment, max(minSegment, r.limit/segments))
}

// reserve takes memory, and disk if need be, for a message of t. Nothing may be locked.
func (t *topic) reserve(size int64) error {
	b := t.broker
	if !b.reserve(size) {
		return status.Errorf(codes.ResourceExhausted,
			"backlog is full: unread messages take the %d bytes that this broker may use; acknowledge messages or give it more memory",
			b.budget.limit)
	}
	if !t.reliable || t.lives != nil || b.disk.reserve(size) {
		return nil
	}
	b.budget.release(size)
	return status.Errorf(codes.ResourceExhausted,
		"disk budget is used up: messages take the %d bytes that this broker may use in %s; acknowledge messages, retain them for less long, "+
			"or allow it more disk",
		b.disk.room.limit, b.disk.path)
}

// release gives back what reserve took for a message that its log did not get.
func (t *topic) release(size int64) {
	t.broker.budget.release(size)
	if t.reliable && t.lives == nil {
		t.broker.disk.release(size)
	}
}

// reserve takes room for a message, if need be from what nobody needs any more.
func (d *dataDir) reserve(n int64) bool {
	if d == nil || d.room.limit == 0 || d.room.budget.reserve(n) {
		return true
	}
	d.room.scarce.Store(true)
	now := time.Now().UnixNano()
	if last := d.room.sought.Load(); now-last < int64(flushEvery) || !d.room.sought.CompareAndSwap(last, now) {
		return false
	}
	if err := d.flush(); err != nil {
		return false // it has logged what was wrong
	}
	return d.room.budget.reserve(n)
}

func (d *dataDir) release(n int64) {
	if d != nil && d.room.limit > 0 {
		d.room.budget.release(n)
	}
}

// seekRoom lets the next flush free what it can when the disk itself has no room for a message of t, which is locked.
func (d *dataDir) seekRoom(t *topic, err error) {
	if d != nil && errors.Is(err, syscall.ENOSPC) {
		d.room.scarce.Store(true)
		d.touch(t)
	}
}

// passedAll adds to passed, the positions that were just written, those of the topics whose position was written before. Room is
// scarce.
func (d *dataDir) passedAll(passed map[*topic]uint64) {
	for _, t := range d.broker.allTopics() {
		if _, ok := passed[t]; ok || !t.reliable {
			continue
		}
		t.mu.Lock()
		if !t.dirty && !t.closed {
			passed[t] = t.passedOnDisk(true)
		}
		t.mu.Unlock()
	}
}

// passedOnDisk is the offset below which the messages of t can be removed from the disk. When room is scarce the history is among
// them.
func (t *topic) passedOnDisk(scarce bool) uint64 {
	if !scarce {
		return t.passed()
	}
	floor := t.floor()
	t.broker.budget.release(t.log.trim(floor))
	return floor
}

// enough says that room is not scarce any more when a quarter of it is free.
func (r *diskRoom) enough() {
	if r.used.Load() <= r.limit/4*3 {
		r.scarce.Store(false)
	}
}

// rollAtLeast is from which size on a segment is ended so that it can be removed.
const rollAtLeast = 4 << 10

// free removes files with messages below offset only.
func (l *diskLog) free(offset uint64, scarce bool, keep seglog.Keep) error {
	var err error
	if scarce && offset == l.log.Next() && l.log.Size() >= rollAtLeast {
		err = l.log.Roll()
	}
	return errors.Join(err, l.log.Trim(offset, keep))
}

// charge corrects what the budget knows of the log. The topic is locked, or nobody else knows it.
func (l *diskLog) charge() {
	if l.room != nil {
		now := l.log.Footprint()
		l.room.budget.release(l.charged - now)
		l.charged = now
	}
}

// took charges a record for which reserved bytes were taken.
func (l *diskLog) took(record int, reserved int64) {
	if l.room != nil {
		exact := int64(record) + seglog.FrameSize
		l.room.budget.release(reserved - exact)
		l.charged += exact
	}
}

// uncharge gives back all that the log was charged, since its files are gone.
func (l *diskLog) uncharge() {
	if l.room != nil {
		l.room.budget.release(l.charged)
		l.room, l.charged = nil, 0
	}
}
