package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// blockBytes is how much is read from a file at once. Records share the block that their lines were read in.
const blockBytes = 256 << 10

// errReplaced says that a file no longer holds what was read from it: it was truncated or written anew.
var errReplaced = errors.New("file holds other content than before")

// fill reads the next block behind buf and tells whether it found any more. It reads the last known bytes again and compares them
// and the head, after the read: so what it returns is never the end of one content and the beginning of another.
func (c *content) fill() (more bool, err error) {
	info, err := c.f.Stat()
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", c.at, err)
	}
	known := len(c.tail) + len(c.buf)
	unread := info.Size() - c.offset - int64(len(c.buf))
	if unread < 0 {
		return false, errReplaced
	}
	block := make([]byte, known+int(min(unread, int64(max(blockBytes, len(c.buf))))))
	n, err := c.f.ReadAt(block, c.offset-int64(len(c.tail)))
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read %s: %w", c.at, err)
	}
	same, err := c.sameHead(info.Size())
	if err != nil {
		return false, fmt.Errorf("read %s: %w", c.at, err)
	}
	if !same || n < known || !bytes.Equal(block[:len(c.tail)], c.tail) || !bytes.Equal(block[len(c.tail):known], c.buf) {
		return false, errReplaced
	}
	c.look(info.Size(), info.ModTime())
	if c.id != "" {
		c.blank = time.Time{}
	}
	c.buf = block[len(c.tail):n:n]
	return n > known, nil
}

// sameHead compares the file's first bytes with the known ones, and learns more of them until it knows headBytes.
func (c *content) sameHead(size int64) (bool, error) {
	head := make([]byte, min(size, headBytes))
	n, err := c.f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	head = head[:n]
	if !bytes.HasPrefix(head, c.head) {
		return false, nil
	}
	if len(head) > len(c.head) {
		c.head, c.marks.head = head, markOf(head)
	}
	return true, nil
}

// cut moves whole lines from buf to b until b is full or buf holds none.
func (c *content) cut(b *batch, lines splitter) {
	start := c.buf
	for !b.full() {
		line, used, more := lines.next(c.buf, c.scanned)
		if used == 0 {
			c.scanned = len(c.buf)
			break
		}
		b.add(c, line, more)
		c.pass(used, more)
	}
	c.remember(start[:len(start)-len(c.buf)])
}

// rest is for the moment in which everything was read. What is left of the last line is published if it is the last, else read again
// when its end has come.
func (c *content) rest(b *batch, last bool) {
	if last {
		c.flush(b)
	}
	c.ready, c.empty = false, len(c.buf) == 0
	c.buf, c.scanned = nil, 0
}

// flush publishes what is left of the last line, which has no end.
func (c *content) flush(b *batch) {
	if len(c.buf) == 0 && c.part == 0 {
		return
	}
	c.identify(true)
	line := c.buf
	b.add(c, line[:len(line):len(line)], false)
	c.pass(len(line), false)
	c.remember(line)
}

// pass moves the offset over n published bytes of buf.
func (c *content) pass(n int, more bool) {
	c.buf, c.scanned = c.buf[n:], 0
	c.offset += int64(n)
	c.part++
	if !more {
		c.part = 0
	}
}

// remember keeps the end of what was published as the new tail.
func (c *content) remember(published []byte) {
	if len(published) == 0 {
		return
	}
	tail := append(c.tail[:len(c.tail):len(c.tail)], published[max(0, len(published)-tailBytes):]...)
	c.tail = bytes.Clone(tail[max(0, len(tail)-tailBytes):])
	c.marks.tail = markOf(c.tail)
}

// skipToEnd passes over everything but a last line that has no end yet. Of that no more than maxLine bytes are looked at.
func (c *content) skipToEnd(maxLine int) error {
	last := make([]byte, min(c.size, int64(maxLine)))
	if _, err := c.f.ReadAt(last, c.size-int64(len(last))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the end of %s: %w", c.at, err)
	}
	c.offset = c.size - int64(len(last)-1-bytes.LastIndexByte(last, '\n'))
	if c.offset == c.size-int64(len(last)) && len(last) < int(c.size) {
		c.offset = c.size
	}
	_, tail, err := c.samples(c.f, c.size)
	c.tail, c.marks.tail = tail, markOf(tail)
	return err
}
