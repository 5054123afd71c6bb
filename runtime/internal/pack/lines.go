package pack

import (
	"bytes"
	"encoding/json"
)

// A lineScanner gives the lines of a payload without the white space around them; lines of nothing else it leaves out.
type lineScanner struct {
	payload []byte
	at      int // of what was not scanned
}

// next gives a line and its place; the line is nil at the end.
func (s *lineScanner) next() (line []byte, at int) {
	for s.at < len(s.payload) {
		start := skipSpace(s.payload, s.at)
		end := bytes.IndexByte(s.payload[start:], '\n')
		if end < 0 {
			s.at, end = len(s.payload), len(s.payload)
		} else {
			end += start
			s.at = end + 1
		}
		if line = bytes.TrimRight(s.payload[start:end:end], " \t\r"); len(line) > 0 {
			return line[:len(line):len(line)], start
		}
	}
	return nil, len(s.payload)
}

// openLines checks that each line of payload is a JSON document and counts them.
func openLines(payload []byte, shared Record) (cursor, int, *DamageError) {
	count := 0
	for s := (lineScanner{payload: payload}); ; count++ {
		line, start := s.next()
		if line == nil {
			return &lineCursor{lineScanner{payload: payload}, shared}, count, nil
		}
		if !json.Valid(line) {
			at, reason := invalidAt(line)
			return nil, 0, &DamageError{Format: plainLines, Byte: start + at, Record: count, Reason: reason}
		}
	}
}

// A lineCursor reads lines of other producers.
type lineCursor struct {
	lines  lineScanner
	shared Record
}

func (c *lineCursor) read() Record {
	r := c.shared
	r.Payload, _ = c.lines.next()
	return r
}

func (c *lineCursor) skip() { c.lines.next() }
