package danubetest_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestPreviewOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		payload string
		limit   int
		want    danubetest.Preview
	}{
		"nothing":          {"", 99, danubetest.Preview{Format: "empty"}},
		"object":           {`{"a":[1,2]}`, 99, danubetest.Preview{Format: "json", Text: "{\n  \"a\": [\n    1,\n    2\n  ]\n}"}},
		"json string":      {`"x"`, 99, danubetest.Preview{Format: "json", Text: `"x"`}},
		"long object":      {`{"a":"xxxxxxxx"}`, 7, danubetest.Preview{Format: "json", Text: "{\n  \"a\"", Cut: true}},
		"broken object":    {`{"a":`, 99, danubetest.Preview{Format: "text", Text: `{"a":`}},
		"number":           {"42", 99, danubetest.Preview{Format: "text", Text: "42"}},
		"lines":            {"a\tb\r\nc", 99, danubetest.Preview{Format: "text", Text: "a\tb\r\nc"}},
		"markup":           {"<b>&", 99, danubetest.Preview{Format: "text", Text: "<b>&"}},
		"long text":        {"abcdef", 3, danubetest.Preview{Format: "text", Text: "abc", Cut: true}},
		"cut in character": {"aäöü", 4, danubetest.Preview{Format: "text", Text: "aä", Cut: true}},
		"control":          {"a\x00", 99, danubetest.Preview{Format: "hex", Text: "00000000  61 00                                             |a.|"}},
		"no utf-8":         {"\xff\xfe", 99, danubetest.Preview{Format: "hex", Text: "00000000  ff fe                                             |..|"}},
		"long bytes":       {"\xff" + strings.Repeat("x", 99), 5, danubetest.Preview{Format: "hex", Text: "00000000  ff                                                |.|", Cut: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(tt.want, danubetest.PreviewOf([]byte(tt.payload), tt.limit)))
		})
	}
}

func FuzzPreviewOf(f *testing.F) {
	for _, seed := range []string{"", `{"a":1}`, "text", "\xff", "aäöü€𝄞", `["` + strings.Repeat("x", 50) + `"]`} {
		f.Add([]byte(seed), 10)
	}
	f.Fuzz(func(t *testing.T, payload []byte, limit int) {
		if limit < 1 || limit > 1000 {
			return
		}
		before := string(payload)
		p := danubetest.PreviewOf(payload, limit)
		require.True(t, utf8.ValidString(p.Text), "%q", p.Text)
		require.Equal(t, before, string(payload))
		if p.Format == "text" {
			require.True(t, strings.HasPrefix(before, p.Text))
			require.Equal(t, p.Cut, len(p.Text) < len(before))
		}
		if p.Format != "hex" {
			require.LessOrEqual(t, len(p.Text), limit)
		}
	})
}
