package pack_test

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

// sample has every field, absent fields, and equal records beside each other.
func sample() []pack.Record {
	full := pack.Record{
		Key: "k1", EventID: "e1", PublishTime: time.UnixMilli(1_700_000_000_123),
		Attributes: map[string]string{"a": "1", "b": "2"}, Payload: []byte(`{"n":1}`),
	}
	return []pack.Record{full, {Payload: []byte("same")}, {Payload: []byte("same")}, {}}
}

func with(m pack.Message, payload []byte) pack.Message {
	return pack.Message{Payload: payload, Attributes: m.Attributes}
}

// Each bit of a framed pack counts: whichever flips, nothing is read.
func TestFramedShowsEachFlippedBit(t *testing.T) {
	t.Parallel()
	m := write(t, pack.Framed, sample()...)
	for i := range m.Payload {
		for bit := range 8 {
			b := slices.Clone(m.Payload)
			b[i] ^= 1 << bit
			damage(t, with(m, b), pack.Auto)
		}
	}
}

func TestFramedShowsBytesThatAreMissingOrTooMany(t *testing.T) {
	t.Parallel()
	m := write(t, pack.Framed, sample()...)
	for i := range m.Payload {
		damage(t, with(m, m.Payload[:i]), pack.Auto)
		damage(t, with(m, slices.Delete(slices.Clone(m.Payload), i, i+1)), pack.Auto)
		damage(t, with(m, slices.Insert(slices.Clone(m.Payload), i, 0)), pack.Auto)
	}
	damage(t, with(m, append(slices.Clone(m.Payload), 0)), pack.Auto)
}

// The error names the record that is damaged, and the place of its payload.
func TestFramedNamesTheDamagedRecord(t *testing.T) {
	t.Parallel()
	m := write(t, pack.Framed, pack.Record{Payload: []byte("first")}, pack.Record{Payload: []byte("second")}, pack.Record{Payload: []byte("third")})
	b := slices.Clone(m.Payload)
	b[strings.Index(string(b), "second")+3] ^= 0x20
	err := damage(t, with(m, b), pack.Auto)
	require.Equal(t, 1, err.Record)
	require.Equal(t, 17, err.Byte)
	require.EqualError(t, err, "read pack (framed/1) at byte 17, record 1: the checksum at byte 36 differs")
}

// Records of one size that change places, heads included, are as whole as before; only the chain of checksums shows it.
func TestFramedShowsExchangedRecords(t *testing.T) {
	t.Parallel()
	m := write(t, pack.Framed, pack.Record{Payload: []byte("aa")}, pack.Record{Payload: []byte("bb")}, pack.Record{Payload: []byte("cc")})
	const head = 1 + 1 + 4
	b := slices.Clone(m.Payload)
	swap := func(x, y, n int) {
		for i := range n {
			b[x+i], b[y+i] = b[y+i], b[x+i]
		}
	}
	swap(14, 16, 2)
	swap(18+head, 18+2*head, head)
	require.Equal(t, 1, damage(t, with(m, b), pack.Auto).Record)
}

func TestMarksThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		m := write(t, f, sample()...)
		for name, tt := range map[string]struct {
			key, value, want string
		}{
			"no count":        {pack.CountAttribute, "", "number of records"},
			"count of zero":   {pack.CountAttribute, "0", "number of records"},
			"negative count":  {pack.CountAttribute, "-4", "number of records"},
			"huge count":      {pack.CountAttribute, "99999999999999999999", "number of records"},
			"count too large": {pack.CountAttribute, "2147483648", "number of records"},
			"large count":     {pack.CountAttribute, "2147483647", "records"},
			"one too few":     {pack.CountAttribute, "3", "3"},
			"one too many":    {pack.CountAttribute, "5", "5"},
			"later version":   {pack.FormatAttribute, "framed/2", "a later version of the connector"},
			"no format":       {pack.FormatAttribute, "", "reads framed/1 and ndjson/1 only"},
		} {
			attributes := maps.Clone(m.Attributes)
			attributes[tt.key] = tt.value
			err := damage(t, pack.Message{Payload: m.Payload, Attributes: attributes}, pack.Auto)
			require.ErrorContains(t, err, tt.want, "%s, %s", f, name)
		}
		for _, other := range formats {
			if other != f {
				damage(t, pack.Message{Payload: m.Payload, Attributes: map[string]string{
					pack.FormatAttribute: string(other), pack.CountAttribute: "4"}}, pack.Auto)
			}
		}
	}
}

// A count costs nothing until there are bytes for it.
func TestHugeCountsAllocateNothing(t *testing.T) { // not parallel: it reads how much the process has allocated
	payload := append([]byte("DPK\x01\xff\xff\xff\x7f\xff\xff\xff\xff"), make([]byte, 100)...)
	m := pack.Message{Payload: payload, Attributes: map[string]string{pack.FormatAttribute: "framed/1", pack.CountAttribute: "2147483647"}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	damage(t, m, pack.Auto)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// handmade puts heads, whose checksums it adds, behind payloads.
func handmade(payloads string, heads ...string) pack.Message {
	b := append([]byte("DPK\x01"), byte(len(heads)), 0, 0, 0, 0, 0, 0, 0)
	b = append(b, payloads...)
	start, sum, table := len(b), uint32(0), crc32.MakeTable(crc32.Castagnoli)
	for _, head := range heads {
		n := min(int(head[1]), len(payloads))
		sum = crc32.Update(crc32.Update(sum, table, []byte(head)), table, []byte(payloads[:n]))
		payloads = payloads[n:]
		b = binary.LittleEndian.AppendUint32(append(b, head...), sum)
	}
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)-start))
	return pack.Message{Payload: b, Attributes: map[string]string{pack.FormatAttribute: "framed/1", pack.CountAttribute: string('0' + rune(len(heads)))}}
}

// Packs whose checksums are right and whose heads are not.
func TestHeadsThatAreWrong(t *testing.T) {
	t.Parallel()
	endless := strings.Repeat("\x80", 10)
	for name, tt := range map[string]struct {
		message pack.Message
		want    string
	}{
		"unknown flag":            {handmade("x", "\x10\x01"), "flags that this version does not know"},
		"payload too long":        {handmade("x", "\x00\x02"), "its payload has 2 bytes and 1 are left"},
		"payload left over":       {handmade("xy", "\x00\x01"), "1 bytes of payload and 0 of heads are left"},
		"key too long":            {handmade("x", "\x01\x01\x09k"), "longer than what is left"},
		"number without end":      {handmade("x", "\x01\x01"+endless), "does not end or has more than 64 bits"},
		"number of 65 bits":       {handmade("x", "\x04\x01"+strings.Repeat("\xff", 9)+"\x02"), "does not end or has more than 64 bits"},
		"length beyond int":       {handmade("x", "\x01\x01"+strings.Repeat("\xff", 9)+"\x01"), "longer than what is left"},
		"many attributes":         {handmade("x", "\x08\x01"+strings.Repeat("\xff", 9)+"\x01"), "longer than what is left"},
		"attribute twice":         {handmade("x", "\x08\x01\x02\x01a\x011\x01a\x012"), "do not ascend"},
		"attributes in disorder":  {handmade("x", "\x08\x01\x02\x01b\x011\x01a\x012"), "do not ascend"},
		"attribute without value": {handmade("x", "\x08\x01\x01\x01a"), "longer than what is left"},
	} {
		err := damage(t, tt.message, pack.Auto)
		require.ErrorContains(t, err, tt.want, name)
	}
	require.Len(t, read(t, handmade("x", "\x08\x01\x02\x00\x011\x01a\x012"), pack.Auto), 1, "the helper itself writes what can be read")
}

// A head more than the count is a record that would be lost.
func TestHeadsLeftOver(t *testing.T) {
	t.Parallel()
	m := handmade("x", "\x00\x01", "\x00\x00")
	m.Payload[4], m.Attributes[pack.CountAttribute] = 1, "1"
	err := damage(t, m, pack.Auto)
	require.ErrorContains(t, err, "0 bytes of payload and 6 of heads are left")
	require.Equal(t, 1, err.Record)
}

// Another implementation may leave the event id among the attributes.
func TestForeignEventID(t *testing.T) {
	t.Parallel()
	head := "\x08\x00\x01\x0fdanube-event-id\x017"
	got := read(t, handmade("", head), pack.Auto)
	require.Equal(t, "7", got[0].EventID)
	require.Nil(t, got[0].Attributes)
	got = read(t, handmade("", "\x0a\x00\x01f\x01\x0fdanube-event-id\x017"), pack.Auto)
	require.Equal(t, "f", got[0].EventID, "the field counts")
	require.Nil(t, got[0].Attributes)
}
