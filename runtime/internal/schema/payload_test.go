package schema_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/schema"
)

func replace(text []byte, old, with string) []byte {
	return bytes.ReplaceAll(text, []byte(old), []byte(with))
}

func contains(modes []schema.Mode, m schema.Mode) bool { return slices.Contains(modes, m) }

// avroText is an encoded string or bytes.
func avroText(s string) []byte { return append(binary.AppendVarint(nil, int64(len(s))), s...) }

const marker = "0123456789abcdef"

// container is an Avro file with one block.
func container(definition, codec string, count int64, block []byte) []byte {
	out := append([]byte("Obj\x01"), binary.AppendVarint(nil, 2)...)
	for _, s := range []string{"avro.schema", definition, "avro.codec", codec} {
		out = append(out, avroText(s)...)
	}
	out = append(out, 0)
	out = append(out, marker...)
	out = binary.AppendVarint(out, count)
	out = append(append(out, avroText(string(block))...), marker...)
	return out
}

func deflated(data []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(data); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// everything is an Avro type that uses each kind of type, and oneOfIt a value of it.
const everything = `{"type":"record","name":"r","fields":[
	{"name":"a","type":"null"},{"name":"b","type":"boolean"},{"name":"c","type":"int"},{"name":"d","type":"float"},{"name":"e","type":"double"},
	{"name":"f","type":"bytes"},{"name":"g","type":{"type":"fixed","name":"f3","size":3}},{"name":"h","type":{"type":"enum","name":"e2","symbols":["A","B"]}},
	{"name":"i","type":{"type":"array","items":"long"}},{"name":"j","type":{"type":"map","values":"string"}},{"name":"k","type":["null","r"]}]}`

func oneOfIt() []byte {
	v := []byte{1, 14}
	v = append(v, make([]byte, 4+8)...)
	v = append(v, avroText("xy")...)
	v = append(v, "abc"...)
	v = append(v, 2)             // B
	v = append(v, 3, 4, 2, 4, 0) // two items in a block of 2 bytes
	v = append(v, 2)             // one entry
	v = append(v, avroText("k")...)
	v = append(v, avroText("v")...)
	return append(v, 0, 0) // end of the map, branch null
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	const jsonText = `{"type":"object","properties":{"a":{"type":"integer","minimum":1}},"required":["a"]}`
	const loop = `{"type":"record","name":"r","fields":[{"name":"x","type":"r"}]}`
	for _, tt := range []struct {
		kind    schema.Kind
		text    string
		payload string
		want    string // part of the error, empty for none
	}{
		{schema.Bytes, "", "\xff", ""},
		{schema.String, "", "ä", ""},
		{schema.String, "", "\xff", "is not UTF-8 text"},
		{schema.Number, "", "1234", ""},
		{schema.Number, "", "12345678", ""},
		{schema.Number, "", "12345", "takes 4 or 8 bytes and this one has 5"},
		{schema.JSON, jsonText, `{"a":1}`, ""},
		{schema.JSON, jsonText, `{"a":0}`, "at '/a': minimum: got 0, want 1"},
		{schema.JSON, jsonText, `{"a":"x"}`, "at '/a': got string, want integer"},
		{schema.JSON, jsonText, `{`, "payload: not JSON"},
		{schema.JSON, jsonText, `{"a":1e99999999}`, "payload: number 1e99999999 is out of range"},
		{schema.JSON, jsonText, `{"a":1e-9999999}`, "payload: number 1e-9999999 is out of range"},
		{schema.JSON, `false`, `1`, "false"},
		{schema.Protobuf, "message A {}", "", schema.ErrProtobufPayload.Error()},
		{schema.Avro, `"int"`, string(container(everything, "null", 2, append(oneOfIt(), oneOfIt()...))), ""},
		{schema.Avro, `"int"`, string(container(everything, "deflate", 1, deflated(oneOfIt()))), ""},
		{schema.Avro, `"int"`, string(container(`"int"`, "", 1, []byte{2})), ""},
		{schema.Avro, `"int"`, "\x02", "does not begin with Obj"},
		{schema.Avro, `"int"`, "Obj\x01", "header: it ends in the middle"},
		{schema.Avro, `"int"`, string(container(`"what"`, "", 1, []byte{2})), "avro.schema"},
		{schema.Avro, `"int"`, string(container(`"int"`, "snappy", 1, []byte{2})), `its codec is "snappy"`},
		{schema.Avro, `"int"`, string(container(`"int"`, "deflate", 1, []byte{0xff})), "cannot be decompressed"},
		{schema.Avro, `"int"`, string(container(`"int"`, "null", 2, []byte{2})), "middle of a value"},
		{schema.Avro, `"int"`, string(container(`"int"`, "null", 1, []byte{2, 2})), "1 bytes follow the values"},
		{schema.Avro, `"int"`, string(replace(container(`"int"`, "null", 1, []byte{2}), "\x02\x02\x02"+marker, "\x02\x02\x02"+strings.ToUpper(marker))), "marker"},
		{schema.Avro, `"int"`, string(container(`"boolean"`, "null", 1, []byte{2})), "neither 0 nor 1"},
		{schema.Avro, `"int"`, string(container(`["null","int"]`, "null", 1, []byte{4})), "index 2 is not below 2"},
		{schema.Avro, `"int"`, string(container(loop, "null", 1, nil)), "nested more than"},
		{schema.Avro, `"int"`, string(container(`"null"`, "null", 1<<60, nil)), "more than 1048576 values that take no bytes"},
		{schema.Avro, `"int"`, string(container(`"bytes"`, "deflate", 1, deflated(make([]byte, 33<<20)))), "have more than 33554432 bytes"},
	} {
		err := parse(t, tt.kind, tt.text).Validate([]byte(tt.payload))
		if tt.want == "" {
			require.NoError(t, err, "%s %q", tt.kind, tt.payload[:min(len(tt.payload), 200)])
			continue
		}
		require.ErrorContains(t, err, tt.want, "%s %q", tt.kind, tt.payload[:min(len(tt.payload), 200)])
		require.NotContains(t, err.Error(), "\n")
	}
}

// FuzzDefinition makes schemas of arbitrary text. What is accepted must come out as it went in, be compatible with itself and parse
// alike a second time.
func FuzzDefinition(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, []byte(`{"a":1}`))
	f.Add(`{"allOf":[{"$ref":"#"}]}`, []byte(`1`))
	f.Add(`{"$dynamicRef":"#"}`, []byte(`1`))
	f.Add(`{"multipleOf":1e-400000,"minimum":1e400000}`, []byte(`1e9999999`))
	f.Add(`{"multipleOf":1e-300,"minimum":1e300}`, []byte(`1e308`))
	f.Add(`{"properties":7,"required":7}`, []byte(`{}`))
	f.Add(everything, container(everything, "null", 1, oneOfIt()))
	f.Add(`{"type":"array","items":"null"}`, container(`{"type":"array","items":"null"}`, "deflate", 1, deflated(binary.AppendVarint(nil, 1<<40))))
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		for _, kind := range []schema.Kind{schema.Avro, schema.JSON, schema.Protobuf} {
			s, err := schema.Parse(kind, []byte(text))
			if err != nil {
				require.NotContains(t, err.Error(), "\n")
				continue
			}
			again := parse(t, kind, text)
			require.Equal(t, s.Fingerprint(), again.Fingerprint())
			problems := schema.Incompatible(schema.Full, s, again)
			if kind != schema.JSON { // which may require a field that it does not describe, and then nothing may follow it
				require.Empty(t, problems)
			}
			_ = s.Validate(payload) // it only must return
			_ = s.Validate([]byte(text))
		}
	})
}
