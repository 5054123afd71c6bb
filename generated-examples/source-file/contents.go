package main

import "slices"

// append adds c behind the contents of its path, which are published before it.
func (s *source) append(c *content) {
	c.after = s.newest(c.path)
	s.contents = append(s.contents, c)
}

// newest is the last content that began at path; nil: none.
func (s *source) newest(path string) *content {
	for _, c := range slices.Backward(s.contents) {
		if c.path == path {
			return c
		}
	}
	return nil
}

// owner is the content that is in a file now; nil: none.
func (s *source) owner(file fileID) *content {
	for _, c := range s.contents {
		if c.file == file && !c.gone {
			return c
		}
	}
	return nil
}

// unowned lists the files that no content is in.
func (s *source) unowned(files []found) []found {
	owned := make(map[fileID]bool, len(s.contents))
	for _, c := range s.contents {
		if !c.gone {
			owned[c.file] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(files), func(f found) bool { return owned[f.id] })
}

// discard marks c as gone; the scan under way removes it. Its generation is kept for the case that the inode comes back.
func (s *source) discard(c *content) {
	c.close()
	c.gone = true
	s.forgotten = slices.DeleteFunc(s.forgotten, func(g lastGen) bool { return g.Dev == c.file.dev && g.Ino == c.file.ino })
	s.forgotten = append(s.forgotten, lastGen{Dev: c.file.dev, Ino: c.file.ino, Gen: c.gen})
	if len(s.forgotten) > maxForgotten {
		s.forgotten = slices.Delete(s.forgotten, 0, len(s.forgotten)-maxForgotten)
	}
}

// nextGen is the generation of a content that begins in a file.
func (s *source) nextGen(file fileID) int {
	for _, g := range s.forgotten {
		if g.Dev == file.dev && g.Ino == file.ino {
			return g.Gen + 1
		}
	}
	return 0
}

func (s *source) wasForgotten(file fileID) bool { return s.nextGen(file) > 0 }
