package pack_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

func TestRecordsComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	payloads := map[string]string{
		"empty": "", "text": "hello", "JSON": `{"a":1}`, "JSON with spaces around": ` {"a":1}`, "pretty JSON": "{\n  \"a\": 1\n}",
		"a number": "17", "null": "null", "a JSON string": `"x"`, "half a document": `{"a":`, "a line break": "\n", "binary": "\xff\x00\xfe",
		"JSON with bad UTF-8": "\"\xff\"", "a pack's beginning": "DPK\x01", "an array": "[1,2]", "HTML": "<a href='&'>", "control": "\x01\x7f\u2028",
		"long": strings.Repeat("é", 100_000), "tab after": "1\t",
	}
	for _, f := range formats {
		for name, payload := range payloads {
			t.Run(fmt.Sprint(f, "/", name), func(t *testing.T) {
				t.Parallel()
				records := []pack.Record{
					{Payload: []byte(payload)},
					{Key: "k", EventID: "id", PublishTime: time.UnixMilli(0), Attributes: map[string]string{"": "", "b": "\"", "a": "\n"}, Payload: []byte(payload)},
					{Key: "ключ", PublishTime: time.UnixMilli(-1), Payload: []byte(payload)},
				}
				m := write(t, f, records...)
				require.Equal(t, map[string]string{"danube-pack": string(f), "danube-pack-count": "3"}, m.Attributes)
				same(t, records, read(t, m, pack.Auto))
			})
		}
	}
}

func TestFramedCarriesTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	records := []pack.Record{{Key: "\xff", EventID: "\xfe", Attributes: map[string]string{"\xfd": "\xfc"}}}
	same(t, records, read(t, write(t, pack.Framed, records...), pack.Auto))
}

// Random records, packed until each pack is full, are all there in their order, whatever the limits.
func TestRandomRecords(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := formats[seed%2]
		records := random(r, 1+r.IntN(100))
		limits := pack.Limits{Records: r.IntN(30), Bytes: 50_000 + r.IntN(100_000)}
		p, err := pack.NewPacker(f, limits)
		require.NoError(t, err)
		var out []pack.Record
		finish := func() {
			size, count := p.Size(), p.Len()
			payload, attributes := p.Finish()
			require.Len(t, payload, size)
			require.LessOrEqual(t, size, limits.Bytes)
			if limits.Records > 0 {
				require.LessOrEqual(t, count, limits.Records)
			}
			got := read(t, pack.Message{Payload: payload, Attributes: attributes}, pack.Auto)
			require.Len(t, got, count)
			for i, record := range got {
				require.Equal(t, i, record.Index)
				record.Index = len(out)
				out = append(out, record)
			}
		}
		for _, record := range records {
			err := p.Add(record)
			if err != nil {
				require.ErrorIs(t, err, pack.ErrFull, "seed %d", seed)
				finish()
				require.NoError(t, p.Add(record), "seed %d", seed)
			}
		}
		finish()
		same(t, records, out)
	}
}

// unmarked are the modes that messages without marks need.
var unmarked = map[string]pack.Mode{"lines": pack.Lines, "array": pack.Array}

func TestSkipPassesOverRecordsThatAreDone(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	records := random(r, 20)
	messages := map[string]pack.Message{
		"framed": write(t, pack.Framed, records...), "ndjson": write(t, pack.NDJSON, records...),
		"lines": {Payload: []byte(strings.Repeat("{\"a\":[1]}\n\n", 20))},
		"array": {Payload: []byte("[" + strings.Repeat(`{"a":[1]},`, 19) + "7]")},
	}
	for name, m := range messages {
		mode := unmarked[name]
		all := read(t, m, mode)
		for done := range len(all) + 2 {
			reader, err := pack.Open(m, mode)
			require.NoError(t, err)
			reader.Skip(done)
			var rest []pack.Record
			for record, ok := reader.Next(); ok; record, ok = reader.Next() {
				rest = append(rest, record)
			}
			require.Equal(t, len(all), reader.Len())
			want := all[min(done, len(all)):]
			require.Len(t, rest, len(want), "%s, %d done", name, done)
			for i := range rest {
				require.Equal(t, want[i], rest[i], name)
			}
		}
	}
}

// What appends to a payload must not write into the next record.
func TestPayloadsEndWhereTheyEnd(t *testing.T) {
	t.Parallel()
	two := []pack.Record{{Payload: []byte("1")}, {Payload: []byte("2")}}
	messages := map[string]pack.Message{
		"framed": write(t, pack.Framed, two...), "ndjson": write(t, pack.NDJSON, two...),
		"lines": {Payload: []byte("1\n2\n")}, "array": {Payload: []byte("[1,2]")},
	}
	for name, m := range messages {
		mode := unmarked[name]
		records := read(t, m, mode)
		for n := range 4 {
			_ = append(records[0].Payload, "xxxx"[:n]...) // must not reach the second
			require.Equal(t, "2", string(records[1].Payload))
			require.Equal(t, "2", string(read(t, m, mode)[1].Payload))
		}
	}
}

func TestEventIDs(t *testing.T) {
	t.Parallel()
	require.Equal(t, connect.EventIDAttribute, pack.EventIDAttribute)
	for _, f := range formats {
		records := read(t, write(t, f,
			pack.Record{},
			pack.Record{EventID: "own"},
			pack.Record{Attributes: map[string]string{pack.EventIDAttribute: "attribute"}},
			pack.Record{EventID: "field", Attributes: map[string]string{pack.EventIDAttribute: "attribute", "a": "b"}},
		), pack.Auto)
		var ids []string
		for _, r := range records {
			ids = append(ids, r.ID("message"))
		}
		require.Equal(t, []string{"message#0", "own", "attribute", "field"}, ids)
		require.Nil(t, records[2].Attributes, "the id is a field, not an attribute")
		require.Equal(t, map[string]string{"a": "b"}, records[3].Attributes)
		require.Equal(t, write(t, f, pack.Record{EventID: "e"}),
			write(t, f, pack.Record{Attributes: map[string]string{pack.EventIDAttribute: "e"}}), "the id is written once")
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	marked := write(t, pack.Framed, pack.Record{Payload: []byte("1")})
	plain := pack.Message{Payload: []byte("1\n2\n")}
	array := pack.Message{Payload: []byte("[1,2,3]")}
	tests := map[string]struct {
		message pack.Message
		mode    pack.Mode
		records int // -1: no pack
	}{
		"marked, auto":       {marked, pack.Auto, 1},
		"marked, no mode":    {marked, "", 1},
		"marked, lines":      {marked, pack.Lines, 1},
		"marked, array":      {marked, pack.Array, 1},
		"marked, off":        {marked, pack.Off, -1},
		"plain, auto":        {plain, pack.Auto, -1},
		"plain, no mode":     {plain, "", -1},
		"plain, lines":       {plain, pack.Lines, 2},
		"plain, off":         {plain, pack.Off, -1},
		"array, array":       {array, pack.Array, 3},
		"array, lines":       {array, pack.Lines, 1},
		"tombstone, lines":   {pack.Message{Key: "k"}, pack.Lines, -1},
		"tombstone, array":   {pack.Message{Key: "k"}, pack.Array, -1},
		"blank lines, lines": {pack.Message{Payload: []byte(" \n\n")}, pack.Lines, 0},
		"empty array, array": {pack.Message{Payload: []byte(" [ ] ")}, pack.Array, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := pack.Open(tt.message, tt.mode)
			require.NoError(t, err)
			if tt.records < 0 {
				require.Nil(t, r)
				return
			}
			require.Len(t, drain(t, r), tt.records)
		})
	}
}
