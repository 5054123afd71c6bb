package pack_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

func TestPackerRefusesSettings(t *testing.T) {
	t.Parallel()
	for _, l := range []pack.Limits{{Records: -1}, {Bytes: -1}, {Bytes: pack.MaxBytes + 1}} {
		_, err := pack.NewPacker(pack.Framed, l)
		require.ErrorContains(t, err, "the limit must be", "%+v", l)
	}
	_, err := pack.NewPacker("zip", pack.Limits{})
	require.ErrorContains(t, err, "framed/1")
}

func TestAnEmptyPackIsNothing(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		p, err := pack.NewPacker(f, pack.Limits{})
		require.NoError(t, err)
		payload, attributes := p.Finish()
		require.Nil(t, payload)
		require.Nil(t, attributes)
		require.ErrorIs(t, p.Add(pack.Record{Attributes: map[string]string{pack.FormatAttribute: "framed/1"}}), pack.ErrNested)
		require.Zero(t, p.Len())
	}
}

// A pack takes records to the last byte of its limit, and a refused record leaves no trace in it.
func TestPackerTakesWhatFitsAndNoMore(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		for seed := range uint64(20) {
			records := random(rand.New(rand.NewPCG(seed, 7)), 3)
			whole := write(t, f, records...)
			p, err := pack.NewPacker(f, pack.Limits{Bytes: len(whole.Payload)})
			require.NoError(t, err)
			for _, r := range records {
				require.NoError(t, p.Add(r), "seed %d", seed)
			}
			require.ErrorIs(t, p.Add(pack.Record{}), pack.ErrFull)
			payload, _ := p.Finish()
			require.True(t, bytes.Equal(whole.Payload, payload), "seed %d", seed)

			p, err = pack.NewPacker(f, pack.Limits{Bytes: len(whole.Payload) - 1})
			require.NoError(t, err)
			require.NoError(t, p.Add(records[0]))
			require.NoError(t, p.Add(records[1]))
			size := p.Size()
			require.ErrorIs(t, p.Add(records[2]), pack.ErrFull)
			require.Equal(t, size, p.Size())
			payload, attributes := p.Finish()
			same(t, records[:2], read(t, pack.Message{Payload: payload, Attributes: attributes}, pack.Auto))
		}
	}
}

func TestARecordThatNoPackHolds(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		p, err := pack.NewPacker(f, pack.Limits{})
		require.NoError(t, err)
		small, large := pack.Record{Payload: []byte("x")}, pack.Record{Payload: bytes.Repeat([]byte("x"), pack.MaxBytes)}
		require.NoError(t, p.Add(small))
		require.ErrorIs(t, p.Add(large), pack.ErrFull)
		p.Finish()
		require.ErrorIs(t, p.Add(large), pack.ErrTooLarge)
		require.NoError(t, p.Add(small), "the packer works on")
		require.Equal(t, 1, p.Len())
	}
}

func TestJSONLinesTakeUTF8Only(t *testing.T) {
	t.Parallel()
	p, err := pack.NewPacker(pack.NDJSON, pack.Limits{})
	require.NoError(t, err)
	for _, r := range []pack.Record{
		{Key: "\xff"}, {EventID: "\xff"}, {Attributes: map[string]string{"\xff": ""}}, {Attributes: map[string]string{"": "\xff"}},
	} {
		require.ErrorIs(t, p.Add(r), pack.ErrNotUTF8)
	}
	require.Zero(t, p.Size())
}

// What a packer has handed out is not written to any more.
func TestFinishedPacksStay(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		p, err := pack.NewPacker(f, pack.Limits{})
		require.NoError(t, err)
		require.NoError(t, p.Add(pack.Record{Key: "first", Payload: []byte("1")}))
		payload, attributes := p.Finish()
		require.NoError(t, p.Add(pack.Record{Key: "other", Payload: []byte("2")}))
		p.Finish()
		require.Equal(t, "first", read(t, pack.Message{Payload: payload, Attributes: attributes}, pack.Auto)[0].Key)
	}
}
