package main

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
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
			// Truncated since: the next scan moves o to the copy, which may be c.
			o.stale, s.nextScan = true, time.Time{}
		case o.length() >= c.size:
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

// compare goes on comparing a copy with its original and tells whether there is more to do. A file that differs is none, and is read
// from its beginning.
func (s *source) compare(c *content) bool {
	o := c.copyOf
	if !c.ready || o.f == nil || o.stale {
		return false
	}
	info, err := c.f.Stat()
	if err != nil || info.Size() < c.offset || !c.intact() {
		c.stale, s.nextScan = true, time.Time{}
		return false
	}
	c.look(info.Size(), info.ModTime())
	if c.size == c.offset {
		c.ready = false
		return false
	}
	mine, theirs := make([]byte, min(compareBytes, c.size-c.offset)), make([]byte, min(compareBytes, c.size-c.offset))
	n, err := c.f.ReadAt(mine, c.offset)
	m, errTheirs := o.f.ReadAt(theirs, c.offset)
	switch {
	case !ended(err) || !ended(errTheirs):
		return false
	case !o.intact():
		o.ready = true // its next look finds out
		return false
	case m < n || !bytes.Equal(mine[:n], theirs[:n]):
		c.copyOf, c.offset, c.tail, c.marks.tail = nil, 0, nil, mark{}
		return true
	}
	c.offset += int64(n)
	c.remember(mine[:n])
	return n > 0
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

// missed lists what stood at the path of c between two times and was rotated away before anyone saw it, oldest first: while the
// connector was not running, or while the broker was away, a file may be rotated several times. A zero until is no limit.
func (s *source) missed(c *content, since, until time.Time) []found {
	files, err := siblings(filepath.Dir(c.at), filepath.Dir(c.path))
	if err != nil {
		return nil
	}
	base := filepath.Base(c.path)
	files = slices.DeleteFunc(files, func(f found) bool {
		return f.size == 0 || !rotated(base, filepath.Base(f.path)) || s.paths.excluded(f.path) ||
			f.mtime.Before(since) || !until.IsZero() && f.mtime.After(until) ||
			s.owner(f.id) != nil || s.wasForgotten(f.id) || c.repeatedBy(f)
	})
	slices.SortStableFunc(files, func(a, b found) int { return a.mtime.Compare(b.mtime) })
	for i := range files {
		files[i].path = c.path
	}
	return files
}

// overtaken is for a file that held no whole line when it was last looked at, and was written since. It tells whether other lines
// stood in it meanwhile, which were rotated away by copy and truncation.
func (s *source) overtaken(c *content) bool {
	if c.blank.IsZero() || c.f == nil || c.written().Equal(c.blank) {
		return false
	}
	since := c.blank
	c.blank = time.Time{}
	if !slices.ContainsFunc(s.missed(c, since, c.written()), func(f found) bool { return !c.beginsLike(f) }) {
		return false
	}
	c.id, c.head, c.marks, c.size, c.mtime = "", nil, marks{}, 0, since // nothing of c was ever seen
	return true
}

// beginsLike tells whether one of the open file of c and f begins with what the other holds, as far as the head goes. Empty files tell
// nothing.
func (c *content) beginsLike(f found) bool {
	file, err := os.Open(f.real)
	if err != nil {
		return true
	}
	defer file.Close()
	n := min(f.size, c.length(), headBytes)
	return n > 0 && sameBytes(io.NewSectionReader(c.f, 0, n), io.NewSectionReader(file, 0, n))
}

// repeatedBy tells whether f, which was written after c, is a copy of all of c. Short files are the same by chance too often.
func (c *content) repeatedBy(f found) bool {
	if f.size < headBytes || f.size != c.length() {
		return false
	}
	file, err := os.Open(f.real)
	if err != nil {
		return false
	}
	defer file.Close()
	return sameBytes(io.NewSectionReader(c.f, 0, f.size), io.NewSectionReader(file, 0, f.size))
}

// sameBytes reads both to their ends and compares.
func sameBytes(a, b io.Reader) bool {
	bufA, bufB := make([]byte, blockBytes), make([]byte, blockBytes)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false
		}
		if errA != nil || errB != nil {
			return errors.Is(errA, errB)
		}
	}
}
