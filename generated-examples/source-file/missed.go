package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

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
	until := c.written()
	if !slices.ContainsFunc(s.missed(c, c.blank, until), func(f found) bool { return !c.beginsWith(f) }) {
		c.blank = until
		return false
	}
	c.id, c.head, c.marks, c.size, c.mtime = "", nil, marks{}, 0, c.blank // nothing of c was ever seen
	return true
}

// beginsWith tells whether f may be a copy of what the open file of c holds, as far as the head tells.
func (c *content) beginsWith(f found) bool {
	if f.size > c.length() {
		return false
	}
	file, err := os.Open(f.real)
	if err != nil {
		return true
	}
	defer file.Close()
	n := min(f.size, headBytes)
	return sameBytes(io.NewSectionReader(c.f, 0, n), io.NewSectionReader(file, 0, n))
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
