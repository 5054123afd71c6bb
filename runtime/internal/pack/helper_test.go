package pack_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

var formats = []pack.Format{pack.Framed, pack.NDJSON}

// write packs records that fit into one pack.
func write(t testing.TB, f pack.Format, records ...pack.Record) pack.Message {
	t.Helper()
	p, err := pack.NewPacker(f, pack.Limits{})
	require.NoError(t, err)
	for _, r := range records {
		require.NoError(t, p.Add(r))
	}
	payload, attributes := p.Finish()
	return pack.Message{Payload: payload, Attributes: attributes}
}

// read opens m, which must be a pack, and takes all its records.
func read(t testing.TB, m pack.Message, mode pack.Mode) []pack.Record {
	t.Helper()
	r, err := pack.Open(m, mode)
	require.NoError(t, err)
	require.NotNil(t, r, "it is a pack")
	return drain(t, r)
}

func drain(t testing.TB, r *pack.Reader) []pack.Record {
	t.Helper()
	var records []pack.Record
	for record, ok := r.Next(); ok; record, ok = r.Next() {
		records = append(records, record)
	}
	require.Len(t, records, r.Len())
	return records
}

// damage opens m, which must be refused.
func damage(t testing.TB, m pack.Message, mode pack.Mode) *pack.DamageError {
	t.Helper()
	r, err := pack.Open(m, mode)
	require.Nil(t, r, "no record of a damaged pack is handed out")
	var damaged *pack.DamageError
	require.ErrorAs(t, err, &damaged)
	return damaged
}

// same compares records as the reader gives them with those that were packed.
func same(t testing.TB, want, got []pack.Record) {
	t.Helper()
	want = append([]pack.Record(nil), want...)
	for i := range want {
		want[i].Index = i
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
		t.Fatalf("records differ (-packed +read):\n%s", diff)
	}
}

// random gives records with every mix of fields, from empty to larger than a pack's first buffer.
func random(r *rand.Rand, n int) []pack.Record {
	records := make([]pack.Record, n)
	for i := range records {
		p := &records[i]
		p.Payload = randomPayload(r)
		if r.IntN(2) == 0 {
			p.Key = randomText(r, 1+r.IntN(20))
		}
		if r.IntN(2) == 0 {
			p.EventID = randomText(r, 1+r.IntN(40))
		}
		if r.IntN(2) == 0 {
			p.PublishTime = time.UnixMilli(r.Int64N(1<<45) - 1<<44)
		}
		for range max(0, r.IntN(8)-4) {
			if p.Attributes == nil {
				p.Attributes = map[string]string{}
			}
			p.Attributes[randomText(r, r.IntN(12))] = randomText(r, r.IntN(200))
		}
	}
	return records
}

func randomPayload(r *rand.Rand) []byte {
	switch size := r.IntN(1 << r.IntN(14)); r.IntN(4) {
	case 0:
		return []byte(randomText(r, size))
	case 1:
		return fmt.Appendf(nil, `{"n": %d, "text": %q, "deep": [[{"a":"]}\""}], null]}`, r.Int(), "x"+fmt.Sprint(size))
	case 2:
		return fmt.Appendf(nil, "\n{\"pretty\":\n%d}\n", r.Int())
	default:
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
}

// randomText has what needs escapes, and runes of one to four bytes.
func randomText(r *rand.Rand, n int) string {
	runes := []rune("ab\"\\\n\r\t\x00\x1f/<&>{}[],:é€\u2028😀")
	text := make([]rune, n)
	for i := range text {
		text[i] = runes[r.IntN(len(runes))]
	}
	return string(text)
}
