package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// A line is one line of the input without its end, or the error that reading ended with; io.EOF is the end of the input.
type line struct {
	text []byte
	size int // bytes read for it
	err  error
}

// readLines reads in a goroutine of its own, because a read from a terminal or pipe cannot be called off. The goroutine ends with the
// input or, when a read is over, with done.
func readLines(in io.Reader, done <-chan struct{}) <-chan line {
	lines := make(chan line)
	send := func(l line) bool {
		select {
		case lines <- l:
			return true
		case <-done:
			return false
		}
	}
	go func() {
		r := bufio.NewReader(in)
		for {
			text, err := r.ReadBytes('\n')
			if len(text) > 0 && !send(line{text: bytes.TrimRight(text, "\r\n"), size: len(text)}) {
				return
			}
			if err != nil {
				send(line{err: err})
				return
			}
		}
	}()
	return lines
}

// jsonLine is what produce --json-lines reads of a line; it is what consume --json prints, whose other fields are passed over.
type jsonLine struct {
	Key         *string           `json:"key"`
	Attributes  map[string]string `json:"attributes"`
	Value       json.RawMessage   `json:"value"` // a string stands for its text, anything else for itself
	ValueBase64 []byte            `json:"value_base64"`
}

// message makes the message of a line.
func (o *produceOptions) message(text []byte) (danube.Message, error) {
	m := danube.Message{Key: o.key, Attributes: o.attributes, Payload: text}
	if !o.jsonLines {
		return m, nil
	}
	var l jsonLine
	if err := json.Unmarshal(text, &l); err != nil {
		return m, err
	}
	switch {
	case l.Value != nil && l.ValueBase64 != nil:
		return m, errors.New("both value and value_base64 are given")
	case l.Value == nil && l.ValueBase64 == nil:
		return m, errors.New("neither value nor value_base64 is given")
	case l.ValueBase64 != nil:
		m.Payload = l.ValueBase64
	case l.Value[0] == '"':
		var text string
		if err := json.Unmarshal(l.Value, &text); err != nil {
			return m, fmt.Errorf("value: %w", err)
		}
		m.Payload = []byte(text)
	default:
		m.Payload = l.Value
	}
	if l.Key != nil {
		m.Key = *l.Key
	}
	if len(l.Attributes) > 0 {
		m.Attributes = maps.Clone(o.attributes)
		if m.Attributes == nil {
			m.Attributes = make(map[string]string)
		}
		maps.Copy(m.Attributes, l.Attributes)
	}
	return m, nil
}
