package pack

import (
	"encoding/json"
	"unicode/utf8"
)

// openEnvelopes checks the lines of an NDJSON pack.
func openEnvelopes(payload []byte, count int) (cursor, *DamageError) {
	damaged := func(at, record int, reason string) (cursor, *DamageError) {
		return nil, &DamageError{Format: NDJSON, Byte: at, Record: record, Reason: reason}
	}
	var scratch []byte
	found := 0
	for s := (lineScanner{payload: payload}); ; found++ {
		line, start := s.next()
		if line == nil {
			break
		}
		if !json.Valid(line) {
			at, reason := invalidAt(line)
			return damaged(start+at, found, reason)
		}
		if !utf8.Valid(line) {
			return damaged(start, found, "a line must be UTF-8")
		}
		e, at, reason := parseEnvelope(line)
		if reason == "" {
			reason, scratch = e.check(scratch)
		}
		if reason != "" {
			return damaged(start+at, found, reason)
		}
	}
	if found != count {
		return nil, miscounted(NDJSON, len(payload), found, count)
	}
	return &envelopeCursor{lineScanner{payload: payload}}, nil
}

// An envelopeCursor reads the lines of an NDJSON pack that openEnvelopes has checked.
type envelopeCursor struct{ lines lineScanner }

func (c *envelopeCursor) read() Record {
	line, _ := c.lines.next()
	e, _, _ := parseEnvelope(line) // it was checked
	return e.record()
}

func (c *envelopeCursor) skip() { c.lines.next() }
