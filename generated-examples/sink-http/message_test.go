package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestAttributesCannotInjectHeaders(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, nil)
	c := settings(rec.URL)
	c.AttributeHeaders = true
	s := openSink(t, c)
	batch := records("{}")
	batch[0].Key = "k\r\nX-Key: 1"
	batch[0].Attributes = map[string]string{
		"plain": "a value, with; signs", "break": "1\r\nX-Injected: yes\r\n\r\nGET / HTTP/1.1", "na me:\n": "100%", "Twice": "b", "twice": "c",
		connect.EventIDAttribute: "id\nX-Id: 1",
	}
	require.NoError(t, s.Write(t.Context(), batch))
	require.Len(t, rec.seen(), 1)
	got := map[string][]string{}
	for name, values := range rec.seen()[0].Header {
		if strings.HasPrefix(name, "X-") || strings.HasPrefix(name, "Danube-Attribute-") || name == "Danube-Key" || name == "Idempotency-Key" {
			got[name] = values
		}
	}
	require.Empty(t, cmp.Diff(map[string][]string{
		"Danube-Attribute-Plain":           {"a value, with; signs"},
		"Danube-Attribute-Break":           {"1%0D%0AX-Injected: yes%0D%0A%0D%0AGET / HTTP/1.1"},
		"Danube-Attribute-Na%20me%3a%0a":   {"100%25"},
		"Danube-Attribute-Twice":           {"b", "c"},
		"Danube-Attribute-Danube-Event-Id": {"id%0AX-Id: 1"},
		"Danube-Key":                       {"k%0D%0AX-Key: 1"},
		"Idempotency-Key":                  {"id%0AX-Id: 1"},
	}, got))
}

func TestBatchKeyNamesTheRecordsAndTheirOrder(t *testing.T) {
	t.Parallel()
	c := settings("http://receiver.test")
	c.Body = bodyArray
	s := openSink(t, c)
	key := func(ids ...string) string {
		batch := records(make([]string, len(ids))...)
		for i := range batch {
			batch[i].Value, batch[i].Attributes = []byte("1"), map[string]string{connect.EventIDAttribute: ids[i]}
		}
		var failed connect.BatchError
		messages := s.joined(batch, &failed)
		require.NoError(t, failed.Err())
		require.Len(t, messages, 1)
		return messages[0].header.Get("Idempotency-Key")
	}
	require.Equal(t, key("a", "b"), key("a", "b"))
	seen := map[string][]string{}
	for _, ids := range [][]string{{"a", "b"}, {"b", "a"}, {"a"}, {"ab"}, {"a1:b"}, {"a", "b", "c"}} {
		require.NotContains(t, seen, key(ids...), "%v", ids)
		seen[key(ids...)] = ids
	}
}

// FuzzHeaders puts foreign text into header names and values and reads the request back as a server does.
func FuzzHeaders(f *testing.F) {
	for _, text := range []string{"", "plain", " edges ", "a\r\nX-Injected: 1", "100%", "é😀", "\x00\x7f\xff", "\t", ":"} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		header := http.Header{}
		addAttributes(header, map[string]string{name: value})
		var wire bytes.Buffer
		wire.WriteString("POST / HTTP/1.1\r\nHost: receiver.test\r\n")
		require.NoError(t, header.Write(&wire))
		wire.WriteString("\r\n")
		got, err := http.ReadRequest(bufio.NewReader(&wire))
		require.NoError(t, err)
		require.Len(t, got.Header, 1)
		for gotName, values := range got.Header {
			unescaped, err := url.PathUnescape(strings.TrimPrefix(gotName, "Danube-Attribute-"))
			require.NoError(t, err)
			require.True(t, strings.EqualFold(name, unescaped), "%q became %q", name, unescaped)
			require.Len(t, values, 1)
			back, err := url.PathUnescape(values[0])
			require.NoError(t, err)
			require.Equal(t, value, back)
		}
	})
}

// FuzzJoined joins foreign values: what is not rejected stands in the body, value by value.
func FuzzJoined(f *testing.F) {
	f.Add([]byte(`{"a": 1}`), []byte("x"), true)
	f.Add([]byte("[\n1,\r\n2]"), []byte(`"\u2028\n"`), true)
	f.Add([]byte("1 2"), []byte("1\n2"), true)
	f.Add([]byte("],["), []byte(`{"a":"<&>"}`), false)
	f.Add([]byte("\"\xff\""), []byte(" null "), false)
	f.Fuzz(func(t *testing.T, a, b []byte, lines bool) {
		c := settings("http://receiver.test")
		c.Body = bodyArray
		if lines {
			c.Body = bodyNDJSON
		}
		opened, err := open(t.Context(), c)
		require.NoError(t, err)
		batch := records(string(a), string(b))
		var failed connect.BatchError
		messages := opened.(*sink).joined(batch, &failed)
		var want []any
		for i, r := range batch {
			var value any
			if failed.At(i) == nil {
				require.NoError(t, json.Unmarshal(r.Value, &value), "record %d was taken", i)
				want = append(want, value)
			}
		}
		if len(want) == 0 {
			require.Empty(t, messages)
			return
		}
		require.Len(t, messages, 1)
		var got []any
		if lines {
			for line := range strings.Lines(string(messages[0].body)) {
				var value any
				require.NoError(t, json.Unmarshal([]byte(line), &value))
				got = append(got, value)
			}
		} else {
			require.NoError(t, json.Unmarshal(messages[0].body, &got))
		}
		require.Empty(t, cmp.Diff(want, got))
	})
}
