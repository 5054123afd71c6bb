package danubetest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Preview is a payload as people read it.
type Preview struct {
	Format string `json:"format"`        // "json", indented; "text"; "hex", a dump; or "empty"
	Text   string `json:"text"`          // may hold anything that the payload held: escape it for where it is shown
	Cut    bool   `json:"cut,omitempty"` // Text ends before the payload does
}

// hexShare is how much of the space for a text a byte takes in a dump.
const hexShare = 5

// PreviewOf decodes a payload. The text is at most about limit bytes long, which must be positive.
func PreviewOf(payload []byte, limit int) Preview {
	if len(payload) == 0 {
		return Preview{Format: "empty"}
	}
	if looksLikeJSON(payload) {
		var indented bytes.Buffer
		if err := json.Indent(&indented, payload, "", "  "); err == nil {
			return cutText("json", indented.String(), limit)
		}
	}
	head := payload[:min(len(payload), limit+utf8.UTFMax)]
	if len(head) < len(payload) {
		head = wholeRunes(head)
	}
	if isText(head) {
		p := cutText("text", string(head), limit)
		p.Cut = p.Cut || len(head) < len(payload)
		return p
	}
	shown := payload[:min(len(payload), max(limit/hexShare, 1))]
	return Preview{Format: "hex", Text: strings.TrimSuffix(hex.Dump(shown), "\n"), Cut: len(shown) < len(payload)}
}

// looksLikeJSON spares the parser what is no object, array or string. A bare number or word reads the same as text.
func looksLikeJSON(payload []byte) bool {
	trimmed := bytes.TrimLeft(payload[:min(len(payload), 64)], " \t\r\n")
	return len(trimmed) > 0 && bytes.IndexByte([]byte(`{["`), trimmed[0]) >= 0 && utf8.Valid(payload)
}

// isText says whether b is UTF-8 without control characters other than those of layout.
func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
	}
	return true
}

// wholeRunes takes a character off the end of b that was cut in two.
func wholeRunes(b []byte) []byte {
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		if start := len(b) - back; utf8.RuneStart(b[start]) {
			if !utf8.FullRune(b[start:]) {
				return b[:start]
			}
			return b
		}
	}
	return b
}

func cutText(format, text string, limit int) Preview {
	if len(text) <= limit {
		return Preview{Format: format, Text: text}
	}
	return Preview{Format: format, Text: string(wholeRunes([]byte(text[:limit]))), Cut: true}
}
