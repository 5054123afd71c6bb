package pack

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// A lineEncoder writes an NDJSON pack. The zero value is an empty one.
type lineEncoder struct {
	body  []byte
	names []string // scratch
}

func (e *lineEncoder) size() int { return len(e.body) }

func (e *lineEncoder) add(r Record, room int) (fits bool, err error) {
	if !isText(&r) {
		return false, ErrNotUTF8
	}
	start := len(e.body)
	if start+len(r.Payload) > room {
		return false, nil
	}
	e.appendLine(&r)
	if len(e.body) > room {
		e.body = e.body[:start]
		return false, nil
	}
	return true, nil
}

func isText(r *Record) bool {
	for name, value := range r.Attributes {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return false
		}
	}
	return utf8.ValidString(r.Key) && utf8.ValidString(r.EventID)
}

func (e *lineEncoder) appendLine(r *Record) {
	b := append(e.body, '{')
	if r.Key != "" {
		b = appendQuoted(append(b, `"key":`...), r.Key)
		b = append(b, ',')
	}
	if r.EventID != "" {
		b = appendQuoted(append(b, `"id":`...), r.EventID)
		b = append(b, ',')
	}
	if !r.PublishTime.IsZero() {
		b = strconv.AppendInt(append(b, `"time":`...), r.PublishTime.UnixMilli(), 10)
		b = append(b, ',')
	}
	e.names = attributeNames(e.names, r.Attributes)
	if len(e.names) > 0 {
		b = append(b, `"attributes":`...)
		for i, name := range e.names {
			b = append(b, "{,"[min(i, 1)])
			b = append(appendQuoted(b, name), ':')
			b = appendQuoted(b, r.Attributes[name])
		}
		b = append(b, "},"...)
	}
	b = appendPayload(b, r.Payload)
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	e.body = append(b, "}\n"...)
}

// appendPayload appends the member that gives back p byte for byte and is the easiest to read: a JSON document as it is, unless it has
// lines or white space around it, else text, else base64. An empty payload needs none.
func appendPayload(b, p []byte) []byte {
	switch {
	case len(p) == 0:
		return b
	case !utf8.Valid(p):
		b = base64.StdEncoding.AppendEncode(append(b, `"base64":"`...), p)
		return append(b, '"')
	case isDocument(p):
		return append(append(b, `"value":`...), p...)
	}
	return appendQuoted(append(b, `"text":`...), p)
}

// isDocument says whether p is a JSON document in one line that begins and ends with itself.
func isDocument(p []byte) bool {
	if skipSpace(p, 0) != 0 || p[len(p)-1] <= ' ' {
		return false
	}
	for _, c := range p {
		if c == '\n' || c == '\r' {
			return false
		}
	}
	return json.Valid(p)
}

// appendQuoted appends s as a JSON string. Unlike encoding/json it needs no allocation and does not escape what HTML would.
func appendQuoted[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(append(b, s[from:i]...), '\\')
		switch c {
		case '"', '\\':
			b = append(b, c)
		case '\n':
			b = append(b, 'n')
		case '\r':
			b = append(b, 'r')
		case '\t':
			b = append(b, 't')
		default:
			b = append(b, 'u', '0', '0', "01"[c>>4], "0123456789abcdef"[c&15])
		}
		from = i + 1
	}
	return append(append(b, s[from:]...), '"')
}

func (e *lineEncoder) finish() []byte {
	b := e.body
	e.body = make([]byte, 0, len(b))
	return b
}
