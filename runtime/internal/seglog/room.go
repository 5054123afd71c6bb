package seglog

import "time"

// Footprint is how many bytes the segment files have, and those that wait to be written to them.
func (l *Log) Footprint() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := l.writing
	if l.pending != nil {
		size += int64(len(l.pending.buf))
	}
	for _, s := range l.segments {
		size += s.size
	}
	return size
}

// FrameSize is what a record takes in a file beside itself.
const FrameSize = frameSize

// Roll begins a new segment unless the one that is written to is empty, so that Trim may remove all that was written before.
func (l *Log) Roll() error {
	l.commit.Lock()
	defer l.commit.Unlock()
	l.mu.Lock()
	base, err := l.written, l.failed
	if l.closed {
		err = ErrClosed
	}
	l.mu.Unlock()
	if err != nil || len(l.segments) == 0 {
		return err
	}
	last := l.segments[len(l.segments)-1]
	if last.size == headerSize {
		return nil
	}
	if err := l.unmark(); err != nil {
		return err
	}
	return l.roll(header{base: base, created: time.Now(), prevBase: last.base, prevSize: last.size})
}
