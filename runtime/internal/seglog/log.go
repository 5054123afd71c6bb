package seglog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/filelock"
)

// A Log is an open log. All methods may be called concurrently.
type Log struct {
	dir    string
	opts   Options
	lock   *filelock.Lock // nil with Options.Locked
	report Report

	mu       sync.Mutex // guards what follows; nothing blocks while holding it
	segments []*segment // in order of offsets; the last is written to
	next     uint64     // offset of the next record
	written  uint64     // records below can be read
	synced   uint64     // records below survive the end of the machine
	pending  *batch     // what waits to be written, nil if nothing
	bringing bool       // somebody writes it
	writing  int64      // bytes of the batch that is being written
	spare    []byte     // buffer of a batch that is over
	failed   error      // why nothing can be appended any more
	closed   bool

	commit sync.Mutex // held by who writes; taken before mu
	active File       // the last segment's file, nil before the first append
	marked bool       // the file of closedMark is there

	lastSync  time.Duration // how long the last sync took
	expected  int           // how many waited for it or for the batch after it when it was over
	missed    int           // how often in a row those of the last batch did not come in time
	impatient int           // so many batches do not wait for them
}

// Open opens the log in dir, which is made if need be, and recovers it after a crash. A folder that another uses is a
// [filelock.HeldError], a log that is damaged a [DamageError]; both leave everything as it is.
func Open(dir string, opts Options) (*Log, error) {
	l := &Log{dir: dir, opts: opts.withDefaults()}
	if err := l.opts.FS.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the log's folder: %w", err)
	}
	if !opts.Locked {
		lock, err := filelock.Acquire(filepath.Join(dir, "lock"))
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		l.lock = lock
	}
	if err := l.recover(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// release closes files and gives the lock back.
func (l *Log) release() error {
	var err error
	if l.active != nil {
		err = l.active.Close()
		l.active = nil
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Release())
	}
	return err
}

// Report is what Open found.
func (l *Log) Report() Report { return l.report }

// First is the offset of the oldest record that is kept; it is Next when there is none.
func (l *Log) First() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first()
}

func (l *Log) first() uint64 {
	if len(l.segments) == 0 {
		return l.next
	}
	return l.segments[0].base
}

// Next is the offset that the next record gets.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Size is how many bytes the segment files have.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var size int64
	for _, s := range l.segments {
		size += s.size
	}
	return size
}

// Append adds a record, of which it keeps nothing, and returns at once. The record is safe when [Ticket.Wait] says so, and gets
// there only if somebody waits for it or for a later one, or closes the log.
func (l *Log) Append(record []byte) (Ticket, error) {
	if len(record) > MaxRecord {
		return Ticket{}, fmt.Errorf("append to log %s: %w: %d bytes, at most %d", l.dir, ErrTooLarge, len(record), MaxRecord)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return Ticket{}, ErrClosed
	case l.failed != nil:
		return Ticket{}, l.failed
	}
	if l.pending == nil {
		l.pending = &batch{first: l.next, buf: l.spare[:0], done: make(chan struct{})}
		l.spare = nil
	}
	t := Ticket{log: l, batch: l.pending, offset: l.next}
	l.pending.buf = appendFrame(l.pending.buf, l.next, l.synced, record)
	l.pending.count++
	if l.pending.count == l.pending.enough {
		close(l.pending.full)
	}
	l.next++
	return t, nil
}

// Close writes what was appended, marks the log as closed and gives the lock back. Closing twice does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	last := l.pending
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if already {
		return nil
	}
	var err error
	if last != nil {
		err = Ticket{log: l, batch: last}.Wait()
	}
	l.commit.Lock()
	defer l.commit.Unlock()
	if l.opts.NoSync && l.active != nil {
		err = errors.Join(err, l.active.Sync())
	}
	if err == nil && l.failed == nil {
		err = l.mark()
	}
	return errors.Join(err, l.release())
}

// mark writes down where the log ends. It is not synced: without the mark the log counts as not closed, which is always right.
func (l *Log) mark() error {
	if l.marked || len(l.segments) == 0 {
		return nil
	}
	m := closedMark{next: l.written, size: l.segments[len(l.segments)-1].size}
	f, err := l.opts.FS.OpenFile(l.path(closedName), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	_, err = f.WriteAt(m.encode(), 0)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }
