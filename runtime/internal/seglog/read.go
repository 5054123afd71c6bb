package seglog

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// readAhead is how many bytes a Reader asks for at once.
const readAhead = 64 << 10

// A Reader reads records in order. Its methods must not be called concurrently.
type Reader struct {
	log  *Log
	next uint64

	seg   *segment // whose file is open, nil if none
	file  File
	at    int64  // where the frame of next begins
	limit int64  // bytes of the segment that may be read
	buf   []byte // a part of the file
	bufAt int64  // where in the file it begins
}

// Reader reads from offset on. It must be closed.
func (l *Log) Reader(offset uint64) *Reader { return &Reader{log: l, next: offset} }

// Read returns the record at offset.
func (l *Log) Read(offset uint64) ([]byte, error) {
	r := l.Reader(offset)
	record, err := r.Next()
	return record, errors.Join(err, r.Close())
}

// Offset is the offset of the record that Next returns next.
func (r *Reader) Offset() uint64 { return r.next }

// Next returns the next record, which is valid until the call after. The error is [ErrOutOfRange] when there is none yet or no
// longer, [ErrClosed], or a [DamageError]; the same record is tried again by the next call.
func (r *Reader) Next() ([]byte, error) {
	if err := r.locate(); err != nil {
		return nil, err
	}
	return r.step()
}

// step reads the record at r.at.
func (r *Reader) step() ([]byte, error) {
	f, err := r.frame(r.next)
	if err != nil {
		return nil, err
	}
	whole, err := r.bytes(frameSize + int64(f.size))
	if err != nil {
		return nil, err
	}
	if !f.matches(whole) {
		return nil, r.damage("its checksum does not match")
	}
	r.at += int64(len(whole))
	r.next++
	return whole[frameSize:], nil
}

// Close closes the reader's file.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file, r.seg = nil, nil
	return f.Close()
}

// locate opens the segment of next, if it is not open, and goes to its frame.
func (r *Reader) locate() error {
	s, start, err := r.find()
	if err != nil || s == r.seg {
		return err
	}
	_ = r.Close() // it was only read
	f, err := r.log.opts.FS.OpenFile(s.path, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("read record %d of log: %w", r.next, err)
	}
	r.file, r.seg, r.at, r.buf = f, s, start.at, r.buf[:0]
	var passed []place
	for offset := start.offset; offset < r.next; offset++ {
		f, err := r.frame(offset)
		if err != nil {
			return errors.Join(err, r.Close())
		}
		r.at += frameSize + int64(f.size)
		passed = append(passed, place{offset: offset + 1, at: r.at})
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for _, p := range passed {
		s.note(p)
	}
	return nil
}

// find returns the segment of next, and a place in it at or before next.
func (r *Reader) find() (*segment, place, error) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, place{}, ErrClosed
	case r.next < l.first() || r.next >= l.written:
		return nil, place{}, fmt.Errorf("read record %d of log %s: %w: it has %d to %d", r.next, l.dir, ErrOutOfRange, l.first(), l.written)
	}
	i := len(l.segments) - 1
	for l.segments[i].base > r.next {
		i--
	}
	s := l.segments[i]
	r.limit = s.size
	return s, s.near(r.next), nil
}

// frame reads the frame at r.at, which must be of the record at offset.
func (r *Reader) frame(offset uint64) (frame, error) {
	b, err := r.bytes(frameSize)
	if err != nil {
		return frame{}, err
	}
	f := decodeFrame(b)
	switch {
	case f.offset != offset:
		return frame{}, r.damage(fmt.Sprintf("it says that it is record %d", f.offset))
	case int64(f.size) > r.limit-r.at-frameSize:
		return frame{}, r.damage("it is longer than what is left of the file")
	}
	return f, nil
}

// bytes returns n bytes of the file from r.at on.
func (r *Reader) bytes(n int64) ([]byte, error) {
	if n > r.limit-r.at {
		return nil, r.damage("the file ends before it")
	}
	if from := r.at - r.bufAt; from >= 0 && from+n <= int64(len(r.buf)) {
		return r.buf[from : from+n], nil
	}
	size := min(max(n, readAhead), r.limit-r.at)
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, size)
	}
	r.buf, r.bufAt = r.buf[:size], r.at
	if _, err := r.file.ReadAt(r.buf, r.at); err != nil {
		r.buf = r.buf[:0]
		if errors.Is(err, io.EOF) {
			return nil, r.damage("the file ends before it")
		}
		return nil, fmt.Errorf("read record %d of log: %w", r.next, err)
	}
	return r.buf[:n], nil
}

func (r *Reader) damage(reason string) error {
	return &DamageError{File: r.seg.path, At: r.at, Offset: r.next, Reason: reason}
}
