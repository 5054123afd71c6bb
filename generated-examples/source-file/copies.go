package main

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"time"
)

// compareBytes bounds how much of a copy is compared before other files have their turn.
const compareBytes = 1 << 20

// holdCopy finds out whether c, which nothing was published of, repeats another content: rotation by copy and truncation leaves such
// files. If so, it is compared as it grows and nothing of it is published as long as it is the same.
func (s *source) holdCopy(c *content) bool {
	if c.checked || !c.untouched() {
		return false
	}
	for _, o := range s.contents {
		if o == c || o.f == nil || o.copyOf != nil || !alike(o, c) {
			continue
		}
		switch {
		case !o.intact():
			o.stale, s.nextScan = true, time.Time{} // truncated since: the scan moves it to its copy, which may be c
		case o.precedes(c):
			c.copyOf = o
		default:
			continue
		}
		c.buf, c.scanned = nil, 0
		return true
	}
	c.checked = true
	return false
}

// alike tells whether c may be a copy of o. The first bytes are evidence enough when there are headBytes of them; fewer are the same
// by chance too often, so then the names must be related as well. What follows at the same path is no copy.
func alike(o, c *content) bool {
	n := min(len(o.head), len(c.head))
	if n == 0 || o.path == c.path || !bytes.Equal(o.head[:n], c.head[:n]) {
		return false
	}
	return n == headBytes || filepath.Dir(o.path) == filepath.Dir(c.path) && related(filepath.Base(o.path), filepath.Base(c.path))
}

// precedes tells which of two files that begin alike is the original: the longer one, of two new ones the older.
func (c *content) precedes(other *content) bool {
	size := c.length()
	return size > other.size || size == other.size && !(c.untouched() && c.written().After(other.mtime))
}

// compare goes on comparing a copy with its original and tells whether there is more to do. A file that differs is none, and is read
// from its beginning.
func (s *source) compare(c *content) bool {
	o := c.copyOf
	if !c.ready || o.f == nil || o.stale {
		return false
	}
	if !c.intact() {
		c.stale, s.nextScan = true, time.Time{}
		return false
	}
	mine, theirs := make([]byte, compareBytes), make([]byte, compareBytes)
	n, err := c.f.ReadAt(mine, c.offset)
	m, errTheirs := o.f.ReadAt(theirs[:n], c.offset)
	switch {
	case !ended(err) || !ended(errTheirs):
		return false
	case !o.intact():
		o.stale, s.nextScan = true, time.Time{}
		return false
	case m < n || !bytes.Equal(mine[:n], theirs[:n]):
		c.copyOf, c.checked, c.offset, c.tail, c.marks.tail = nil, true, 0, nil, mark{}
		return true
	}
	c.offset += int64(n)
	c.remember(mine[:n])
	c.look(c.length(), c.written())
	c.ready = n > 0
	return c.ready
}

func ended(err error) bool { return err == nil || errors.Is(err, io.EOF) }

// moveToCopy lets c go on in a copy of its file, if there is one beside it.
func (s *source) moveToCopy(c *content, now time.Time) bool {
	if c.marks.head.n == 0 {
		return false // nothing is known by which a copy could be recognised
	}
	files, err := siblings(filepath.Dir(c.at), filepath.Dir(c.path))
	if err != nil {
		return false
	}
	files = slices.DeleteFunc(files, func(f found) bool { return !s.mayBeCopy(c, f) })
	slices.SortStableFunc(files, func(a, b found) int { return cmp.Compare(b.size, a.size) })
	for _, f := range files {
		owner := s.owner(f.id)
		if owner != nil && owner.copyOf != c && !owner.untouched() && owner.stillIn(f) {
			continue // another content is known to be there
		}
		if held, err := c.attach(f); err != nil || !held {
			continue
		}
		if owner != nil {
			owner.close()
			owner.gone = true
		}
		c.ending = time.Time{}
		if f.path != c.path {
			c.ending = now.Add(s.cfg.RotateWait)
		}
		return true
	}
	return false
}

// mayBeCopy tells whether name, size and time of f allow it to be a copy of c. A file at c's own path is one only when it cannot be
// anything else: a full head is the same, or the inode is, and only the device number changed, as after a restart of the machine.
func (s *source) mayBeCopy(c *content, f found) bool {
	base, name := filepath.Base(c.path), filepath.Base(f.path)
	switch {
	case f.id == c.file, f.size < c.offset, f.mtime.Before(c.mtime):
		return false
	case name == base:
		return c.marks.head.n == headBytes || f.id.ino == c.file.ino
	default:
		return related(base, name) || s.paths.match(f.path)
	}
}
