package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// scan looks where every file is now, takes up new ones and forgets those that are done.
func (s *source) scan(now time.Time) {
	files, problems := s.paths.expand()
	matched := make(map[fileID]found, len(files))
	for _, f := range files {
		matched[f.id] = f
	}
	for _, c := range slices.Clone(s.contents) {
		s.place(c, matched, now)
	}
	if slices.ContainsFunc(files, func(f found) bool { return s.owner(f.id) == nil }) {
		// A new file may be a copy that was made before a truncation: what is left of the old content comes first.
		for _, c := range slices.Clone(s.contents) {
			if c.f != nil && (!c.intact() || s.overtaken(c)) {
				c.stale = true
				s.place(c, matched, now)
			}
		}
	}
	s.takeUpMissed(now)
	s.adopt(files, now)
	s.forget(matched, now)
	for _, c := range s.contents {
		if c.fault != nil {
			problems = append(problems, unreadable(c.fault))
		}
	}
	s.trouble.set(problems, now)
	s.watch.add(s.paths.directories(files))
	s.beginning = false
}

// place finds out what became of the file of c.
func (s *source) place(c *content, matched map[fileID]found, now time.Time) {
	f, ok := matched[c.file]
	switch {
	case c.gone:
	case c.stale:
		if !ok {
			f = beside(c)
		}
		s.replace(c, f, now)
	case c.f != nil && ok:
		c.follow(f, now.Add(s.cfg.RotateWait))
	case c.f != nil:
		// Renamed to a name that no pattern matches, or deleted: the open file gives what is left of it.
		if c.ending.IsZero() && c.left() && !c.savedAnew() {
			c.ending = now.Add(s.cfg.RotateWait)
		}
	case now.Before(c.retry):
	case ok:
		s.reopen(c, f, now)
	default:
		s.search(c, now)
	}
}

// follow takes note of a new name, size or time of the file of c.
func (c *content) follow(f found, ending time.Time) {
	switch {
	case f.path == c.path:
		c.ending = time.Time{}
	case f.real != c.at:
		c.ending = ending
	}
	c.at = f.real
	if f.size != c.size || !f.mtime.Equal(c.mtime) || !c.settled {
		c.ready = true
	}
}

// left tells whether it is certain that the file is not at its path any more. A directory that cannot be read proves nothing.
func (c *content) left() bool {
	info, err := os.Stat(c.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && idOf(info) != c.file
}

// savedAnew takes c over to the file that is at its path now, if that begins with all that c held: editors and rsync replace a file in
// this way. A new log with the same few first lines must not pass for it, so a full head is asked for.
func (c *content) savedAnew() bool {
	old, err := c.f.Stat()
	if err != nil || old.Sys().(*syscall.Stat_t).Nlink > 0 || !c.empty || c.offset < old.Size() || c.marks.head.n < headBytes {
		return false
	}
	f, err := find(c.path)
	if err != nil {
		return false
	}
	replaced := c.f
	held, err := c.attach(f)
	if err == nil && held {
		_ = replaced.Close()
	}
	return err == nil && held
}

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

// adopt takes up the files that no content is in yet. Files that took the place of others come first, because they tell which files
// were rotated away before anyone saw them.
func (s *source) adopt(files []found, now time.Time) {
	fresh := slices.DeleteFunc(slices.Clone(files), func(f found) bool { return s.owner(f.id) != nil })
	slices.SortStableFunc(fresh, func(a, b found) int { return rank(s.newest(a.path)) - rank(s.newest(b.path)) })
	for _, f := range fresh {
		if s.owner(f.id) != nil {
			continue
		}
		if previous := s.newest(f.path); previous != nil {
			for _, m := range s.missed(previous, previous.written(), time.Time{}) {
				s.begin(m, m.id, s.nextGen(m.id))
			}
		}
		c := s.begin(f, f.id, s.nextGen(f.id))
		if s.beginning && s.cfg.Start == "end" && c.f != nil {
			if err := c.skipToEnd(s.cfg.MaxLineBytes); err != nil {
				c.fail(err, now)
			}
		}
	}
}

// takeUpMissed looks for files that stood at a path after the last one that is known to have left it.
func (s *source) takeUpMissed(now time.Time) {
	for _, c := range slices.Clone(s.contents) {
		if (c.gone || now.Before(c.ending)) && s.newest(c.path) == c {
			for _, m := range s.missed(c, c.written(), time.Time{}) {
				s.begin(m, m.id, s.nextGen(m.id))
			}
		}
	}
}

func rank(previous *content) int {
	if previous == nil {
		return 1
	}
	return 0
}

// begin appends a content that begins in f. Origin and gen say as what it counts.
func (s *source) begin(f found, origin fileID, gen int) *content {
	c := newContent(f.path, f.id, gen)
	c.at, c.origin = f.real, origin
	s.append(c)
	if _, err := c.attach(f); err != nil {
		c.fail(err, time.Time{})
	}
	return c
}

// forget drops the contents that are read to the end and whose files are out of sight.
func (s *source) forget(matched map[fileID]found, now time.Time) {
	for _, c := range s.contents {
		_, ok := matched[c.file]
		done := (c.empty || c.copyOf != nil) && !c.ending.IsZero() && !now.Before(c.ending)
		switch {
		case c.gone || ok || !done || !c.left():
		case c.copyOf == nil && c.length() > c.offset:
			c.ready = true // written at the last moment
		default:
			s.discard(c)
		}
	}
	for _, c := range s.contents {
		for c.after != nil && c.after.gone {
			c.after = c.after.after
		}
		if c.copyOf != nil && c.copyOf.gone {
			c.copyOf = nil // what it repeats was published; lines that are appended to it are its own
		}
	}
	s.contents = slices.DeleteFunc(s.contents, func(c *content) bool { return c.gone })
}
