package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// cutAll cuts b as often as a line can be had, and returns the lines, the marks of pieces, and what is left.
func cutAll(s splitter, b []byte) (lines []string, more []bool, rest string) {
	for {
		line, used, part := s.next(b, 0)
		if used == 0 {
			return lines, more, string(b)
		}
		lines, more = append(lines, string(line)), append(more, part)
		b = b[used:]
	}
}

func TestSplitter(t *testing.T) {
	t.Parallel()
	euros := strings.Repeat("€", 8) // three bytes each
	tests := map[string]struct {
		in     string
		keepCR bool
		want   []string
		rest   string
	}{
		"lines":                  {in: "a\nbc\n", want: []string{"a", "bc"}},
		"empty lines":            {in: "\n\na\n\n", want: []string{"", "", "a", ""}},
		"no end yet":             {in: "a\nbc", want: []string{"a"}, rest: "bc"},
		"nothing":                {in: ""},
		"carriage returns":       {in: "a\r\n\r\nb\r\r\nc\rd\n", want: []string{"a", "", "b\r", "c\rd"}},
		"carriage returns, kept": {in: "a\r\n\r\n", keepCR: true, want: []string{"a\r", "\r"}},
		"as long as allowed":     {in: strings.Repeat("x", 20) + "\n", want: []string{strings.Repeat("x", 20)}},
		"a byte longer":          {in: strings.Repeat("x", 21) + "\n", want: []string{strings.Repeat("x", 20), "x"}},
		"much longer, no end":    {in: strings.Repeat("x", 50), want: []string{strings.Repeat("x", 20), strings.Repeat("x", 20)}, rest: strings.Repeat("x", 10)},
		"between two characters": {in: euros + "\n", want: []string{strings.Repeat("€", 6), "€€"}},
		"not UTF-8":              {in: strings.Repeat("\x80", 30) + "\n", want: []string{strings.Repeat("\x80", 20), strings.Repeat("\x80", 10)}},
		"zero bytes":             {in: "a\x00b\n", want: []string{"a\x00b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines, _, rest := cutAll(splitter{max: 20, keepCR: tt.keepCR}, []byte(tt.in))
			require.Equal(t, tt.want, lines)
			require.Equal(t, tt.rest, rest)
		})
	}
}

func TestSplitterMarksPieces(t *testing.T) {
	t.Parallel()
	_, more, _ := cutAll(splitter{max: 20}, []byte(strings.Repeat("x", 45)+"\nshort\n"))
	require.Equal(t, []bool{true, true, false, false}, more)
}

// FuzzSplitter checks that no byte is lost, added or moved, however the bytes arrive, and that pieces keep characters whole.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n"), 3)
	f.Add([]byte(strings.Repeat("€", 40)+"\n"), 7)
	f.Add(bytes.Repeat([]byte{0xff}, 100), 1)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		s := splitter{max: minLineBytes, keepCR: true}
		if step = 1 + step&0xff; step > len(in) {
			step = max(1, len(in))
		}
		var again, buf []byte
		scanned := 0
		var whole []string
		for len(in) > len(again)+len(buf) || scanned < len(buf) {
			end := min(len(in), len(again)+len(buf)+step)
			buf = in[len(again):end]
			for {
				line, used, more := s.next(buf, scanned)
				if used == 0 {
					scanned = len(buf)
					break
				}
				require.LessOrEqual(t, len(line), s.max)
				again = append(again, line...)
				if !more {
					again = append(again, '\n')
				}
				if more && utf8.Valid(in) {
					require.True(t, utf8.Valid(line), "piece %q", line)
				}
				whole = append(whole, string(line))
				buf, scanned = buf[used:], 0
			}
		}
		require.Equal(t, string(in), string(again)+string(buf))
		atOnce, _, rest := cutAll(s, in)
		require.Equal(t, atOnce, whole, "the same lines as from all bytes at once")
		require.Equal(t, string(buf), rest)
	})
}
