package main

import (
	"bytes"
	"unicode/utf8"
)

// minLineBytes is the smallest limit for a line: a piece must hold at least one whole character.
const minLineBytes = 16

// A splitter cuts lines from bytes. A line ends with LF; a line longer than max bytes comes in pieces.
type splitter struct {
	max    int  // longest line in bytes without its LF
	keepCR bool // leave the CR of CR LF in the line
}

// next returns the first line of b without its end, and how many bytes of b it takes: 0 when b does not hold the whole line yet.
// With more set, line is a piece and the rest of the line follows. The first scanned bytes of b are known to hold no LF.
func (s splitter) next(b []byte, scanned int) (line []byte, used int, more bool) {
	window := b[:min(len(b), s.max+1)]
	if i := bytes.IndexByte(window[min(scanned, len(window)):], '\n'); i >= 0 {
		end := min(scanned, len(window)) + i
		return s.trim(b[:end:end]), end + 1, false
	}
	if len(b) <= s.max {
		return nil, 0, false
	}
	cut := s.max
	// A piece ends between two characters where the text is UTF-8. Anything else has no boundary near, and is cut at max.
	for back := 1; back <= utf8.UTFMax; back++ {
		if utf8.RuneStart(b[s.max-back+1]) {
			cut = s.max - back + 1
			break
		}
	}
	return b[:cut:cut], cut, true
}

// trim takes the CR of CR LF away.
func (s splitter) trim(line []byte) []byte {
	if n := len(line); !s.keepCR && n > 0 && line[n-1] == '\r' {
		return line[: n-1 : n-1]
	}
	return line
}
