package pack

import (
	"bytes"
	"encoding/json"
	"errors"
)

// The functions of this file walk over JSON that json.Valid accepted. On other input they may return nonsense or panic.

// skipSpace returns the place of the first byte from i on that is no white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the place after the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the place after the value that begins at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return i
}

// skipNested returns the place after the object or array that begins at i.
func skipNested(b []byte, i int) int {
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
}

// nextMember gives name and value of the next member of an object, where i is after its brace or after the last member; more is false at
// its end. Both are as they are written, the name with its quotes.
func nextMember(b []byte, i int) (name, value []byte, next int, more bool) {
	i = skipSpace(b, i)
	if b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	if b[i] == '}' {
		return nil, nil, i + 1, false
	}
	end := skipString(b, i)
	name = b[i:end]
	i = skipSpace(b, skipSpace(b, end)+1) // the colon
	end = skipValue(b, i)
	return name, b[i:end:end], end, true
}

// unquote returns what a JSON string means; it copies only where the string has escapes.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1 : len(quoted)-1]
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		panic("a JSON string that was valid is not: " + err.Error())
	}
	return []byte(s)
}

// invalidAt returns the place in b at which it stops being JSON, and why.
func invalidAt(b []byte) (at int, reason string) {
	var raw json.RawMessage
	err := json.Unmarshal(b, &raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return max(0, int(syntax.Offset)-1), "not JSON: " + syntax.Error()
	}
	return 0, "not JSON"
}
