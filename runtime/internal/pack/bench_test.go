package pack_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

// hundred is a pack of 100 records of 1 KiB with key, event id and publish time, as a source writes it.
func hundred(attributes map[string]string) []pack.Record {
	records := make([]pack.Record, 100)
	text := bytes.Repeat([]byte("x"), 1024-len(`{"n":100,"text":""}`))
	for i := range records {
		records[i] = pack.Record{
			Key: fmt.Sprint("key-", i%10), EventID: fmt.Sprintf("%032x", i), PublishTime: time.UnixMilli(1_700_000_000_000), Attributes: attributes,
			Payload: fmt.Appendf(nil, `{"n":%d,"text":"%s"}`, 100+i, text),
		}
	}
	return records
}

func perRecord(b *testing.B, records int) {
	seconds := b.Elapsed().Seconds() / float64(b.N) / float64(records)
	b.ReportMetric(1e9*seconds, "ns/record")
	b.ReportMetric(1/seconds, "records/s")
	b.ReportMetric(0, "ns/op")
}

func unpack(b *testing.B, m pack.Message, mode pack.Mode) {
	b.ReportAllocs()
	b.SetBytes(int64(len(m.Payload)))
	for b.Loop() {
		reader, err := pack.Open(m, mode)
		require.NoError(b, err)
		n := 0
		for _, ok := reader.Next(); ok; _, ok = reader.Next() {
			n++
		}
		require.Equal(b, 100, n)
	}
	perRecord(b, 100)
}

func BenchmarkUnpack(b *testing.B) {
	plain, attributes := hundred(nil), hundred(map[string]string{"trace": "0123456789", "type": "order"})
	var documents [][]byte
	for _, r := range plain {
		documents = append(documents, r.Payload)
	}
	for _, f := range formats {
		b.Run(string(f), func(b *testing.B) { unpack(b, write(b, f, plain...), pack.Auto) })
		b.Run(string(f)+"/attributes", func(b *testing.B) { unpack(b, write(b, f, attributes...), pack.Auto) })
	}
	b.Run("lines", func(b *testing.B) { unpack(b, pack.Message{Payload: bytes.Join(documents, []byte("\n"))}, pack.Lines) })
	b.Run("array", func(b *testing.B) {
		unpack(b, pack.Message{Payload: fmt.Appendf(nil, "[%s]", bytes.Join(documents, []byte(",")))}, pack.Array)
	})
}

func BenchmarkPack(b *testing.B) {
	for _, f := range formats {
		for name, attributes := range map[string]map[string]string{"": nil, "/attributes": {"trace": "0123456789", "type": "order"}} {
			b.Run(string(f)+name, func(b *testing.B) {
				records := hundred(attributes)
				p, err := pack.NewPacker(f, pack.Limits{})
				require.NoError(b, err)
				b.ReportAllocs()
				for b.Loop() {
					for i := range records {
						if err := p.Add(records[i]); err != nil {
							b.Fatal(err)
						}
					}
					payload, _ := p.Finish()
					b.SetBytes(int64(len(payload)))
				}
				perRecord(b, len(records))
			})
		}
	}
}
