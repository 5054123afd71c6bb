package pack

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
)

// An envelope is one line of an NDJSON pack: its members as they are written, nil where they are absent or null. At most one of the last
// three is there; value may be the document null.
type envelope struct {
	key, id, publishTime, attributes []byte
	value, text, base64              []byte
}

var binaryText = base64.StdEncoding.Strict()

// parseEnvelope reads a line that is valid JSON; a reason that is not empty says why it is no envelope, and at where.
func parseEnvelope(line []byte) (e envelope, at int, reason string) {
	if line[0] != '{' {
		return envelope{}, 0, "a line must be a JSON object"
	}
	seen := 0
	for at = 1; ; {
		name, value, next, more := nextMember(line, at)
		if !more {
			break
		}
		member, bit, kind := e.member(string(name))
		switch {
		case member == nil:
			return envelope{}, at, fmt.Sprintf("its member %.40s is not known to this version", name)
		case kind != anyValue && value[0] == 'n': // null, as good as absent
			at = next
			continue
		case seen&bit != 0:
			return envelope{}, at, fmt.Sprintf("its member %s comes twice, or beside another form of the payload", name)
		case kind == number && !isInteger(value):
			return envelope{}, at, fmt.Sprintf("its member %s must be a whole number", name)
		case kind != anyValue && kind != number && value[0] != byte(kind):
			return envelope{}, at, fmt.Sprintf("the value of its member %s must begin with %c", name, kind)
		}
		*member = value
		seen |= bit
		at = next
	}
	return e, at, ""
}

// Kinds of members: by the first byte of their values, where it says enough.
const (
	anyValue = iota
	number
	str    = '"'
	object = '{'
)

// member gives the place of the member with that quoted name, a bit that stands for it and its kind. The three forms of a payload share one bit.
func (e *envelope) member(name string) (member *[]byte, bit, kind int) {
	switch name {
	case `"key"`:
		return &e.key, 1, str
	case `"id"`:
		return &e.id, 2, str
	case `"time"`:
		return &e.publishTime, 4, number
	case `"attributes"`:
		return &e.attributes, 8, object
	case `"value"`:
		return &e.value, 16, anyValue
	case `"text"`:
		return &e.text, 16, str
	case `"base64"`:
		return &e.base64, 16, str
	}
	return nil, 0, 0
}

func isInteger(b []byte) bool {
	_, err := strconv.ParseInt(string(b), 10, 64)
	return err == nil
}

// check says what is wrong with members that parseEnvelope only looked at from outside. The scratch is returned for the next call.
func (e *envelope) check(scratch []byte) (reason string, grown []byte) {
	if e.attributes != nil {
		for at := 1; ; {
			name, value, next, more := nextMember(e.attributes, at)
			if !more {
				break
			}
			if value[0] != '"' {
				return fmt.Sprintf("its attribute %.40s must be a string", name), scratch
			}
			at = next
		}
	}
	if e.base64 == nil {
		return "", scratch
	}
	text := unquote(e.base64)
	if bytes.ContainsAny(text, "\r\n") {
		return "its base64 has line breaks", scratch
	}
	grown, err := binaryText.AppendDecode(scratch[:0], text)
	if err != nil {
		return "its payload is not base64: " + err.Error(), scratch
	}
	return "", grown
}

// record is what an envelope means that was checked.
func (e *envelope) record() Record {
	var r Record
	if e.key != nil {
		r.Key = string(unquote(e.key))
	}
	if e.id != nil {
		r.EventID = string(unquote(e.id))
	}
	if e.publishTime != nil {
		ms, _ := strconv.ParseInt(string(e.publishTime), 10, 64) // it was checked
		r.PublishTime = time.UnixMilli(ms)
	}
	for at := 1; e.attributes != nil; {
		name, value, next, more := nextMember(e.attributes, at)
		if !more {
			break
		}
		if r.Attributes == nil {
			r.Attributes = make(map[string]string)
		}
		r.Attributes[string(unquote(name))] = string(unquote(value))
		at = next
	}
	switch {
	case e.value != nil:
		r.Payload = e.value
	case e.text != nil:
		r.Payload = unquote(e.text)
	case e.base64 != nil:
		r.Payload, _ = binaryText.AppendDecode(nil, unquote(e.base64)) // it was checked
	}
	return r.liftEventID()
}
