package seglog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// A batch is what is written and synced at once.
type batch struct {
	first   uint64
	count   int // of records
	buf     []byte
	waiting atomic.Int32  // calls of Wait
	done    chan struct{} // closed when it is over; then err is set
	err     error

	enough int           // the count that closes full; 0 for none
	full   chan struct{} // nil unless the leader waits for others to join
}

// A Ticket stands for a record on its way to the disk.
type Ticket struct {
	log    *Log
	batch  *batch
	offset uint64
}

// Offset is the record's.
func (t Ticket) Offset() uint64 { return t.offset }

// Wait returns nil when the record, and so every one before it, is as safe as the log makes it. On an error neither this record
// nor any that was appended after it and not yet safe is in the log, and their offsets are given anew. A full disk is such an
// error; when there is room again, appends work again. After a failed fsync nobody knows what is on the disk, so the log takes no
// more appends until it is opened anew.
func (t Ticket) Wait() error {
	if t.batch.waiting.Add(1) == 1 {
		t.log.wanted(t.batch)
	}
	<-t.batch.done
	return t.batch.err
}

// wanted sees to it that b is written.
func (l *Log) wanted(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == b && !l.bringing {
		l.bringing = true
		go l.bringAll()
	}
}

// bringAll writes one batch after the other until nothing is pending. One goroutine does it for all, since it runs already when the
// next batch can be written: one of those who wait for it would have to be woken first, which takes long when there are many.
func (l *Log) bringAll() {
	for {
		l.mu.Lock()
		b := l.pending
		l.bringing = b != nil
		l.mu.Unlock()
		if b == nil {
			return
		}
		l.bring(b)
	}
}

// bring writes b, which others may join until it is written.
func (l *Log) bring(b *batch) {
	l.commit.Lock()
	defer l.commit.Unlock()
	l.gather(b)
	l.mu.Lock()
	if l.pending != b { // somebody else wrote it
		l.mu.Unlock()
		return
	}
	l.pending = nil
	l.writing = int64(len(b.buf))
	end := l.next
	l.mu.Unlock()

	err := l.write(b, end)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = 0
	if err != nil {
		l.drop(b, err)
		return
	}
	l.written = end
	if !l.opts.NoSync {
		l.synced = end
	}
	last := l.segments[len(l.segments)-1]
	last.grow(b)
	if cap(b.buf) <= 1<<20 { // a larger one would lie there for ever after one burst
		l.spare = b.buf
	}
	b.buf = nil
	l.expected = int(b.waiting.Load())
	if l.pending != nil {
		l.expected += int(l.pending.waiting.Load())
	}
	close(b.done)
}

// gather waits for those who were released by the batch before: they often append again at once, and would else wait for a second
// sync. With n records on their way, a sync that takes s and c for the way of one, s + n*c for all of them beats 2*s for half of them
// each time as long as n*c is less than s; so that is how long it waits. When they do not come in that time it stops to wait for them
// for a while.
func (l *Log) gather(b *batch) {
	if l.expected < 2 || l.opts.NoSync || l.lastSync <= 0 {
		return
	}
	if l.impatient > 0 {
		l.impatient--
		return
	}
	l.mu.Lock()
	enough := b.count >= l.expected || l.pending != b // it went down with the one before
	if !enough {
		b.enough, b.full = l.expected, make(chan struct{})
	}
	l.mu.Unlock()
	if enough {
		return
	}
	timer := time.NewTimer(min(l.lastSync, gatherAtMost))
	defer timer.Stop()
	select {
	case <-b.full:
		l.missed = 0
	case <-timer.C:
		l.missed = min(l.missed+1, mostMissed)
		l.impatient = 1 << l.missed
	}
}

const (
	// gatherAtMost bounds what those pay who came first when the disk is very slow.
	gatherAtMost = 10 * time.Millisecond
	// mostMissed bounds how long a log does not wait for those who did not come: for 64 batches.
	mostMissed = 6
)

// drop ends b and all that was appended after it. The caller holds commit and mu.
func (l *Log) drop(b *batch, err error) {
	b.err = err
	close(b.done)
	if p := l.pending; p != nil {
		p.err = err
		close(p.done)
		l.pending = nil
	}
	l.next = l.written
}

// write puts b at the end of the active segment. When it fails the segment is as it was, or the log is marked as failed.
func (l *Log) write(b *batch, end uint64) error {
	if l.failed != nil {
		return l.failed
	}
	if err := l.prepare(b.first, int64(len(b.buf))); err != nil {
		return fmt.Errorf("append to log: %w", err)
	}
	s := l.segments[len(l.segments)-1]
	if _, err := l.active.WriteAt(b.buf, s.size); err != nil {
		err = fmt.Errorf("append records %d to %d to log: %w", b.first, end-1, err)
		if undo := l.active.Truncate(s.size); undo != nil {
			l.fail(fmt.Errorf("log takes no more records until it is opened again: %w; and what was written of it could not be cut off: %w", err, undo))
		}
		return err
	}
	if l.opts.NoSync {
		return nil
	}
	start := time.Now()
	err := l.active.Sync()
	l.lastSync = time.Since(start)
	if err != nil {
		err = fmt.Errorf("log takes no more records until it is opened again: sync records %d to %d: %w", b.first, end-1, err)
		l.fail(err)
		return err
	}
	return nil
}

func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
}

// prepare makes the active segment ready for n bytes from offset base on.
func (l *Log) prepare(base uint64, n int64) error {
	if err := l.unmark(); err != nil {
		return err
	}
	h := header{base: base, created: time.Now()}
	if len(l.segments) > 0 {
		last := l.segments[len(l.segments)-1]
		if last.size == headerSize || last.size+n <= l.opts.SegmentBytes {
			return l.openActive(last)
		}
		h.prevBase, h.prevSize = last.base, last.size
	}
	return l.roll(h)
}

// unmark removes the mark of a closed log, which must be gone for good before the log is longer than it says.
func (l *Log) unmark() error {
	if !l.marked {
		return nil
	}
	if err := errors.Join(l.opts.FS.Remove(l.path(closedName)), l.opts.FS.SyncDir(l.dir)); err != nil {
		return err
	}
	l.marked = false
	return nil
}

// openActive opens the last segment for writing if it is not.
func (l *Log) openActive(last *segment) (err error) {
	if l.active == nil {
		l.active, err = l.opts.FS.OpenFile(last.path, os.O_RDWR, 0)
	}
	return err
}

// roll begins a new segment. Its header is safe before a record follows, so that a segment without a header has none.
func (l *Log) roll(h header) error {
	if l.opts.NoSync && l.active != nil {
		if err := l.active.Sync(); err != nil {
			l.fail(fmt.Errorf("log takes no more records until it is opened again: %w", err))
			return err
		}
	}
	path := l.path(segmentName(h.base))
	// A file of that name holds nothing: an earlier roll failed half-way.
	f, err := l.opts.FS.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(h.encode(), 0)
	err = errors.Join(err, f.Sync(), l.opts.FS.SyncDir(l.dir))
	if len(l.segments) == 0 {
		err = errors.Join(err, l.opts.FS.SyncDir(filepath.Dir(l.dir))) // the folder itself may be new
	}
	if err != nil {
		return errors.Join(err, f.Close(), l.opts.FS.Remove(path))
	}
	if l.active != nil {
		// All of it is synced, so that nothing is lost if closing fails.
		_ = l.active.Close()
	}
	l.active = f
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments, &segment{path: path, base: h.base, created: h.created, size: headerSize})
	l.synced = l.written
	return nil
}
