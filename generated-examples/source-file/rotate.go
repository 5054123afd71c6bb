package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// reopen opens the file f, which has the device and inode of c's.
func (s *source) reopen(c *content, f found, now time.Time) {
	held, err := c.attach(f)
	switch {
	case err != nil:
		c.fail(err, time.Time{})
	case !held:
		s.replace(c, f, now)
	case f.path != c.path:
		c.ending = now.Add(s.cfg.RotateWait)
	}
}

// attach opens f and tells whether it holds c.
func (c *content) attach(f found) (bool, error) {
	file, err := os.Open(f.real)
	if err != nil {
		return false, err
	}
	info, err := file.Stat()
	held := false
	if err == nil && idOf(info) == f.id {
		held, err = c.open(file)
	}
	if !held {
		_ = file.Close()
		return false, err
	}
	c.at, c.file = f.real, f.id
	return true, nil
}

// search looks for the file of c, which is not open, beside the place where it was: rotation may have renamed or copied it while the
// connector was not running.
func (s *source) search(c *content, now time.Time) {
	files, err := siblings(filepath.Dir(c.at), filepath.Dir(c.path))
	if err != nil {
		return // the directory is away, perhaps for a moment only
	}
	for _, f := range files {
		switch {
		case f.id != c.file:
		case f.path == c.path:
			s.discard(c) // the patterns do not ask for it any more
			return
		default:
			s.reopen(c, f, now)
			return
		}
	}
	switch {
	case c.copyOf != nil:
		s.discard(c)
	case !s.moveToCopy(c, now):
		s.trouble.tell(fmt.Errorf("%s was deleted while the connector did not read it; if it held more than %d bytes, the rest is lost", c.path, c.offset))
		s.discard(c)
	}
}

// beside finds the file of c next to the place where it was; zero: it is not there.
func beside(c *content) found {
	files, _ := siblings(filepath.Dir(c.at), filepath.Dir(c.path)) // a directory that cannot be read holds nothing for us
	for _, f := range files {
		if f.id == c.file {
			return f
		}
	}
	return found{}
}

// replace is for a file that holds other content than c: it was truncated, or deleted and its inode given to another file. What was
// not read of c may stand in a copy that was made before. F is the file, zero if it was not found.
func (s *source) replace(c *content, f found, now time.Time) {
	file, gen, handle := c.file, c.gen, c.f
	if c.untouched() && c.marks.head.n == 0 {
		gen-- // nothing of c was ever there
	}
	path := f.path
	if !s.paths.match(path) {
		path = ""
	}
	if base := filepath.Base(c.path); related(base, filepath.Base(f.path)) && (now.Before(c.ending) || c.ending.IsZero() && !related(base, filepath.Base(c.at))) {
		path = c.path // it was renamed just after that
	}
	c.f = nil
	c.close()
	s.relocate(c, now)
	if path == "" || s.owner(file) != nil {
		if handle != nil {
			_ = handle.Close()
		}
		return
	}
	if path == c.path {
		for _, m := range s.missed(c, c.written(), f.mtime) {
			if m.id != file {
				gen++
				s.begin(m, file, gen)
			}
		}
	}
	next := newContent(path, file, gen+1)
	next.at = f.real
	s.append(next)
	if handle == nil {
		s.reopen(next, f, now)
	} else if _, err := next.open(handle); err != nil {
		_ = handle.Close()
		next.fail(err, now)
	}
	if f.path != path {
		next.ending = now.Add(s.cfg.RotateWait)
	}
}

// relocate finds the copy in which c goes on, or gives it up.
func (s *source) relocate(c *content, now time.Time) {
	if c.copyOf == nil && s.moveToCopy(c, now) {
		return
	}
	if lost := c.size - c.offset; c.copyOf == nil && lost > 0 {
		s.trouble.tell(fmt.Errorf("%s was truncated before its last %d bytes were read; they are lost, because no file beside it is a copy: let rotation rename the file, or leave the copy beside it uncompressed", c.path, lost))
	}
	s.discard(c)
}

// savedAnew takes c over to the file that is at its path now, if that begins with all that c held: editors and rsync replace a file in
// this way. A new log with the same few first lines must not pass for it, so a full head is asked for.
func (s *source) savedAnew(c *content) bool {
	old, err := c.f.Stat()
	if err != nil || old.Sys().(*syscall.Stat_t).Nlink > 0 || !c.empty || c.offset < old.Size() || c.marks.head.n < headBytes {
		return false
	}
	f, err := find(c.path)
	if err != nil || s.owner(f.id) != nil {
		return false
	}
	replaced := c.f
	held, err := c.attach(f)
	if err == nil && held {
		_ = replaced.Close()
	}
	return err == nil && held
}
