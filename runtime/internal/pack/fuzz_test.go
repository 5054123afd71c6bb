package pack_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

// Whatever the bytes are: no panic, and what is accepted is read to its end and means the same when it is packed again.
func FuzzFramed(f *testing.F) {
	m := write(f, pack.Framed, goldenRecords...)
	f.Add(m.Payload, len(goldenRecords))
	f.Add(write(f, pack.Framed, pack.Record{}).Payload, 1)
	f.Add(handmade("x", "\x08\x01\x02\x00\x011\x01a\x012").Payload, 1)
	f.Fuzz(func(t *testing.T, payload []byte, count int) {
		checkMarked(t, pack.Framed, payload, count)
	})
}

// FuzzFramedHeads puts right checksums behind heads, which random bytes seldom have.
func FuzzFramedHeads(f *testing.F) {
	f.Add("xy", "\x0f\x01\x01k\x01e\x06\x01\x01a\x01b", "\x00\x01")
	f.Add("", "\x08\x00\x01\x0fdanube-event-id\x017", "\x04\x00\x80\x80\x01")
	f.Fuzz(func(t *testing.T, payloads, one, two string) {
		if len(one) < 2 || len(two) < 2 {
			return
		}
		checkMarked(t, pack.Framed, handmade(payloads, one, two).Payload, 2)
	})
}

func checkMarked(t *testing.T, f pack.Format, payload []byte, count int) []pack.Record {
	before := bytes.Clone(payload)
	reader, err := pack.Open(pack.Message{Payload: payload, Attributes: map[string]string{
		pack.FormatAttribute: string(f), pack.CountAttribute: strconv.Itoa(count),
	}}, pack.Auto)
	if err != nil {
		require.ErrorAs(t, err, new(*pack.DamageError))
		return nil
	}
	require.Equal(t, count, reader.Len())
	records := drain(t, reader)
	for _, r := range records {
		if _, nested := r.Attributes[pack.FormatAttribute]; nested {
			return records
		}
	}
	same(t, records, read(t, write(t, f, records...), pack.Auto))
	require.True(t, bytes.Equal(before, payload), "reading changes nothing")
	return records
}

// FuzzNDJSON compares with encoding/json, line by line.
func FuzzNDJSON(f *testing.F) {
	f.Add(write(f, pack.NDJSON, goldenRecords...).Payload, len(goldenRecords))
	f.Add([]byte(`{"value" : {"a":[1,"]}"]} , "attributes":{"x\u0022":"\u00e9"},"time":-5,"id":"i\/1"}`), 1)
	f.Add([]byte("\r\n{\"text\":null,\"base64\":\"\\/wA=\"}\n\n"), 1)
	f.Fuzz(func(t *testing.T, payload []byte, count int) {
		records := checkMarked(t, pack.NDJSON, payload, count)
		decoder := json.NewDecoder(bytes.NewReader(payload))
		for _, r := range records {
			var want struct {
				Key        string
				ID         string
				Time       int64
				Attributes map[string]string
				Value      json.RawMessage
				Text       *string
				Base64     *string
			}
			require.NoError(t, decoder.Decode(&want))
			id, own := want.Attributes[pack.EventIDAttribute]
			if want.ID == "" && own {
				want.ID = id
			}
			delete(want.Attributes, pack.EventIDAttribute)
			require.Equal(t, want.Key, r.Key)
			require.Equal(t, want.ID, r.EventID)
			require.Equal(t, len(want.Attributes), len(r.Attributes))
			for name, value := range want.Attributes {
				require.Equal(t, value, r.Attributes[name])
			}
			if !r.PublishTime.IsZero() {
				require.Equal(t, want.Time, r.PublishTime.UnixMilli())
			}
			payload := []byte(want.Value)
			if want.Text != nil {
				payload = []byte(*want.Text)
			} else if want.Base64 != nil {
				var err error
				payload, err = base64.StdEncoding.DecodeString(*want.Base64)
				require.NoError(t, err)
			}
			require.True(t, bytes.Equal(payload, r.Payload), "%q %q", payload, r.Payload)
		}
	})
}

// FuzzArray compares with encoding/json, both in what is accepted and in the elements.
func FuzzArray(f *testing.F) {
	f.Add([]byte(`[{"a":"],["},[],-1.5e3,null,"\"" ]`))
	f.Add([]byte(" [ ] "))
	f.Add([]byte("[1,2,]"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want []json.RawMessage
		valid := json.Unmarshal(payload, &want) == nil && want != nil
		reader, err := pack.Open(pack.Message{Payload: payload}, pack.Array)
		if reader == nil && err == nil {
			require.Empty(t, payload)
			return
		}
		require.Equal(t, valid, err == nil, "%v", err)
		if err != nil {
			return
		}
		records := drain(t, reader)
		require.Len(t, records, len(want))
		for i, r := range records {
			require.Equal(t, string(want[i]), string(r.Payload))
		}
	})
}

// FuzzLines compares with encoding/json, line by line.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{}\r\n\n 17 \n\"x\""))
	f.Add([]byte("{\n}"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want []string
		valid := true
		for line := range bytes.Lines(payload) {
			line = bytes.Trim(line, " \t\r\n")
			valid = valid && (len(line) == 0 || json.Valid(line))
			if len(line) > 0 {
				want = append(want, string(line))
			}
		}
		reader, err := pack.Open(pack.Message{Payload: payload}, pack.Lines)
		require.Equal(t, valid, err == nil, "%v", err)
		if reader == nil {
			return
		}
		var got []string
		for _, r := range drain(t, reader) {
			got = append(got, string(r.Payload))
		}
		require.Equal(t, want, got)
	})
}
