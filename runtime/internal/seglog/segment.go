package seglog

import (
	"sort"
	"time"
)

// A segment is one file of the log. Its log's mu guards what changes.
type segment struct {
	path    string
	base    uint64
	created time.Time
	size    int64 // bytes that belong to the log
	marks   []place
}

// place is where a record's frame begins.
type place struct {
	offset uint64
	at     int64
}

// markEvery is how many bytes lie between two marks, so how much is read at most to find a record.
const markEvery = 64 << 10

// note makes a mark at p when the last one is far away. Places come in order.
func (s *segment) note(p place) {
	last := place{offset: s.base, at: headerSize}
	if n := len(s.marks); n > 0 {
		last = s.marks[n-1]
	}
	if p.offset > last.offset && p.at-last.at >= markEvery {
		s.marks = append(s.marks, p)
	}
}

// near is the last known place at or before offset.
func (s *segment) near(offset uint64) place {
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].offset > offset })
	if i == 0 {
		return place{offset: s.base, at: headerSize}
	}
	return s.marks[i-1]
}

// grow adds what was written.
func (s *segment) grow(b *batch) {
	at := s.size
	for rest := b.buf; len(rest) > 0; {
		f := decodeFrame(rest)
		s.note(place{offset: f.offset, at: at})
		n := frameSize + int(f.size)
		rest, at = rest[n:], at+int64(n)
	}
	s.size = at
}
