package pack

import (
	"bytes"
	"encoding/json"
)

// openArray checks that payload is a JSON array and counts its elements.
func openArray(payload []byte, shared Record) (cursor, int, *DamageError) {
	start := skipSpace(payload, 0)
	if start == len(payload) || payload[start] != '[' {
		return nil, 0, &DamageError{Format: plainArray, Byte: start, Reason: "it does not begin with ["}
	}
	if !json.Valid(payload) {
		at, reason := invalidAt(payload)
		return nil, 0, &DamageError{Format: plainArray, Byte: at, Record: wholeElements(payload), Reason: reason}
	}
	c := &arrayCursor{payload: payload, at: start + 1, shared: shared}
	count := 0
	for check := *c; check.more(); count++ {
		check.skip()
	}
	return c, count, nil
}

// wholeElements counts the elements of an array before the place at which it is damaged.
func wholeElements(payload []byte) int {
	d := json.NewDecoder(bytes.NewReader(payload))
	if _, err := d.Token(); err != nil {
		return 0
	}
	var raw json.RawMessage
	n := 0
	for d.More() && d.Decode(&raw) == nil {
		n++
	}
	return n
}

// An arrayCursor reads the elements of an array that openArray has checked.
type arrayCursor struct {
	payload []byte
	at      int // after the bracket or the last element
	shared  Record
}

// more moves to the next element, if there is one.
func (c *arrayCursor) more() bool {
	c.at = skipSpace(c.payload, c.at)
	if c.payload[c.at] == ',' {
		c.at = skipSpace(c.payload, c.at+1)
	}
	return c.payload[c.at] != ']'
}

func (c *arrayCursor) read() Record {
	c.more()
	start := c.at
	c.at = skipValue(c.payload, start)
	r := c.shared
	r.Payload = c.payload[start:c.at:c.at]
	return r
}

func (c *arrayCursor) skip() {
	c.more()
	c.at = skipValue(c.payload, c.at)
}
