package pack_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

// The bytes below are what docs/packing.md describes. Packs lie in topics and spools for as long as somebody keeps them: what these tests
// hold must stay readable for ever, and a change is a new version.

var goldenRecords = []pack.Record{
	{
		Key: "k", EventID: "id-1", PublishTime: time.UnixMilli(1_700_000_000_000),
		Attributes: map[string]string{"b": "2", "a": "1"}, Payload: []byte(`{"n":1}`),
	},
	{Payload: []byte("two\n")},
	{Key: "k", Payload: []byte{0xff, 0x00}},
	{},
}

func TestGoldenFramed(t *testing.T) {
	t.Parallel()
	golden := strings.Join([]string{
		"44504b01",             // DPK, version 1
		"04000000", "30000000", // 4 records, 48 bytes of heads
		hex.EncodeToString([]byte(`{"n":1}two` + "\n")), "ff00",
		"0f07", "016b", "0469642d31", "80a0abfef962", "02", "0161", "0131", "0162", "0132", "48877e4c",
		"0004", "5a650419",
		"0102", "016b", "a5fe7f55",
		"0000", "af121777",
	}, "")
	m := write(t, pack.Framed, goldenRecords...)
	require.Equal(t, golden, hex.EncodeToString(m.Payload))
	require.Equal(t, map[string]string{"danube-pack": "framed/1", "danube-pack-count": "4"}, m.Attributes)
	b, err := hex.DecodeString(golden)
	require.NoError(t, err)
	same(t, goldenRecords, read(t, with(m, b), pack.Auto))
}

func TestGoldenNDJSON(t *testing.T) {
	t.Parallel()
	golden := `{"key":"k","id":"id-1","time":1700000000000,"attributes":{"a":"1","b":"2"},"value":{"n":1}}
{"text":"two\n"}
{"key":"k","base64":"/wA="}
{}
`
	m := write(t, pack.NDJSON, goldenRecords...)
	require.Equal(t, golden, string(m.Payload))
	require.Equal(t, map[string]string{"danube-pack": "ndjson/1", "danube-pack-count": "4"}, m.Attributes)
	same(t, goldenRecords, read(t, with(m, []byte(golden)), pack.Auto))
}
