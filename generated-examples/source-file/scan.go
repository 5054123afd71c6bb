package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
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
	if len(s.unowned(files)) > 0 {
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
		if c.ending.IsZero() && c.left() && !s.savedAnew(c) {
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

// adopt takes up the files that no content is in yet. Files that took the place of others come first, because they tell which files
// were rotated away before anyone saw them.
func (s *source) adopt(files []found, now time.Time) {
	fresh := s.unowned(files)
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

func rank(previous *content) int {
	if previous == nil {
		return 1
	}
	return 0
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
