package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// A message is one request. The same records always give the same bytes and the same Idempotency-Key.
type message struct {
	to      string // the records' Record.To
	records []int  // their places in the batch
	body    []byte
	header  http.Header
}

// single makes a message of each record; the body is the record's value as it is.
func (s *sink) single(batch []connect.Record) []message {
	messages := make([]message, len(batch))
	for i, r := range batch {
		h := s.header.Clone()
		h.Set("Idempotency-Key", headerText(r.EventID()))
		h.Set("Danube-Topic", headerText(r.Topic))
		h.Set("Danube-Offset", strconv.FormatUint(r.Offset, 10))
		h.Set("Danube-Publish-Time", strconv.FormatInt(r.PublishTime.UnixMilli(), 10))
		if r.Partition >= 0 {
			h.Set("Danube-Partition", strconv.Itoa(r.Partition))
		}
		if r.Key != "" {
			h.Set("Danube-Key", headerText(r.Key))
		}
		if s.config.AttributeHeaders {
			addAttributes(h, r.Attributes)
		}
		messages[i] = message{to: r.To, records: []int{i}, body: r.Value, header: h}
	}
	return messages
}

// joined makes one message of all records that go to the same place. Values that are not JSON are rejected in failed.
func (s *sink) joined(batch []connect.Record, failed *connect.BatchError) []message {
	var messages []message
	for i, r := range batch {
		if !json.Valid(r.Value) || !utf8.Valid(r.Value) {
			failed.Add(i, connect.Reject(errors.New("value is not JSON in UTF-8; body single sends any bytes")))
			continue
		}
		if n := len(messages); n == 0 || messages[n-1].to != r.To {
			messages = append(messages, message{to: r.To})
		}
		last := &messages[len(messages)-1]
		last.records = append(last.records, i)
	}
	for i := range messages {
		s.join(&messages[i], batch)
	}
	return messages
}

// join fills in body and header.
func (s *sink) join(m *message, batch []connect.Record) {
	open, between, end := "[", ",", "]\n"
	if s.config.Body == bodyNDJSON {
		open, between, end = "", "\n", "\n"
	}
	body := bytes.NewBufferString(open)
	ids := sha256.New()
	for n, i := range m.records {
		if n > 0 {
			body.WriteString(between)
		}
		appendJSON(body, batch[i].Value, s.config.Body == bodyNDJSON)
		id := batch[i].EventID()
		fmt.Fprintf(ids, "%d:%s", len(id), id)
	}
	body.WriteString(end)
	m.body = body.Bytes()

	m.header = s.header.Clone()
	m.header.Set("Idempotency-Key", hex.EncodeToString(ids.Sum(nil)[:16]))
	m.header.Set("Danube-Topic", headerText(batch[m.records[0]].Topic))
	m.header.Set("Danube-Record-Count", strconv.Itoa(len(m.records)))
}

// appendJSON appends a valid JSON value, on one line if asked for.
func appendJSON(dst *bytes.Buffer, value []byte, oneLine bool) {
	if oneLine && bytes.ContainsAny(value, "\r\n") {
		// Compact only fails on invalid JSON, which value is not. It removes white space between tokens and keeps the rest.
		_ = json.Compact(dst, value)
		return
	}
	dst.Write(value)
}

// addAttributes sets one header per attribute. Header names know no case: attributes that differ only in case share a header,
// whose values then come in the order of the attributes' names.
func addAttributes(h http.Header, attributes map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		h.Add("Danube-Attribute-"+headerName(name), headerText(attributes[name]))
	}
}

// headerText makes any text fit to be a header value: what is not printable ASCII, the percent sign and spaces at the ends become
// %XX. So a line break in a record cannot begin a header of its own, and unescaping gives the text back.
func headerText(text string) string {
	return escape(text, func(i int) bool {
		c := text[i]
		return c > ' ' && c < 127 && c != '%' || c == ' ' && i > 0 && i < len(text)-1
	})
}

// headerName does the same for the end of a header name.
func headerName(text string) string {
	return escape(text, func(i int) bool { return text[i] != '%' && tokenByte(text[i]) })
}

// escape writes each byte of text that may not stay as %XX.
func escape(text string, stays func(i int) bool) string {
	clean := 0
	for clean < len(text) && stays(clean) {
		clean++
	}
	if clean == len(text) {
		return text // as nearly all are
	}
	var out strings.Builder
	for i := range len(text) {
		if stays(i) {
			out.WriteByte(text[i])
		} else {
			fmt.Fprintf(&out, "%%%02X", text[i])
		}
	}
	return out.String()
}

// tokenByte tells whether c may stand in a header name (RFC 9110, 5.6.2).
func tokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// validValue tells whether text may stand in a header as it is.
func validValue(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r != '\t' && (r < ' ' || r > 126) }) < 0
}
