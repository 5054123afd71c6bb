package danube

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestT21UnwrapTakesTheWrapperOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind       SchemaType
		definition string
		want       string
	}{
		{SchemaJSON, `{"JsonSchema":{"raw_schema":"{\"b\": 1, \"a\":2}","fingerprint":"sha256:1"}}`, `{"b": 1, "a":2}`},
		{SchemaAvro, `{"Avro":{"raw_schema":"\"string\"","fingerprint":"sha256:1"}}`, `"string"`},
		{SchemaProtobuf, `{"Protobuf":{"raw_proto":"syntax","message_name":"DefaultMessage","fingerprint":"sha256:1"}}`, "syntax"},
		{SchemaBytes, `"Bytes"`, ""},
		{SchemaString, `"String"`, ""},
		{SchemaNumber, `"Number"`, ""},
		// whatever else comes is the text itself
		{SchemaJSON, `{"type":"object"}`, `{"type":"object"}`},
		{SchemaJSON, `{"JsonSchema":{"type":"object"}}`, `{"JsonSchema":{"type":"object"}}`},
		{SchemaJSON, `{"JsonSchema":{"raw_schema":{}}}`, `{"JsonSchema":{"raw_schema":{}}}`},
		{SchemaJSON, `{"JsonSchema":{"raw_schema":"x"},"type":"object"}`, `{"JsonSchema":{"raw_schema":"x"},"type":"object"}`},
		{SchemaJSON, `{"Avro":{"raw_schema":"x"}}`, `{"Avro":{"raw_schema":"x"}}`},
		{SchemaProtobuf, `{"Protobuf":{"raw_schema":"x"}}`, `{"Protobuf":{"raw_schema":"x"}}`},
		{SchemaAvro, `"String"`, `"String"`},
		{SchemaAvro, "\xff{", "\xff{"},
		{SchemaString, "text", "text"},
		{"xml", `{"Xml":{"raw_schema":"<a/>"}}`, `{"Xml":{"raw_schema":"<a/>"}}`},
	} {
		require.Equal(t, tt.want, unwrap(tt.kind, []byte(tt.definition)), "%s %s", tt.kind, tt.definition)
	}
}

func TestSchemaNamesAsText(t *testing.T) {
	t.Parallel()
	var c struct {
		Type   SchemaType
		Mode   Compatibility
		Policy ValidationPolicy
	}
	require.NoError(t, json.Unmarshal([]byte(`{"Type":"Proto","Mode":"FULL","Policy":"Enforce"}`), &c))
	require.Equal(t, SchemaProtobuf, c.Type)
	require.Equal(t, CompatibleFull, c.Mode)
	require.Equal(t, ValidateEnforce, c.Policy)
	require.ErrorContains(t, c.Type.UnmarshalText([]byte("xml")), `"xml" is not a schema type; write one of bytes, string, number, avro, json_schema, protobuf`)
	require.Equal(t, SchemaProtobuf, c.Type, "a mistake changes nothing")
	require.Equal(t, SchemaType("xml"), schemaTypeOf("xml"))
	require.Equal(t, Compatibility("SIDEWAYS"), compatibilityOf("SIDEWAYS"))
}

func TestSchemaCacheReadsOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c schemaCache
		reads := 0
		read := func(ctx context.Context) (Schema, error) {
			reads++
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return Schema{}, ctx.Err()
			}
			if reads == 1 {
				return Schema{}, errors.New("away")
			}
			return Schema{ID: 1, Version: 2, Tags: []string{"a"}, Compatibility: CompatibleFull}, nil
		}
		impatient, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for round := range 2 {
			for i := range 20 {
				wg.Go(func() {
					ctx := t.Context()
					if i == 0 {
						ctx = impatient
					}
					s, err := c.get(ctx, schemaKey{1, 2}, read)
					switch {
					case round == 0:
						assert.EqualError(t, err, "away")
					case i == 0:
						assert.ErrorIs(t, err, context.DeadlineExceeded)
					case assert.NoError(t, err):
						s.Tags[0] += "!" // everybody has an own copy
						assert.Equal(t, "a!", s.Tags[0])
						assert.Empty(t, s.Compatibility)
					}
				})
				synctest.Wait() // so that the impatient one is the one that reads
			}
			wg.Wait()
			require.Equal(t, round+1, reads)
		}
		for range 2 {
			s, err := c.get(t.Context(), schemaKey{1, 2}, read)
			require.NoError(t, err)
			require.Equal(t, []string{"a"}, s.Tags)
			s.Tags[0] = "changed"
		}
		require.Equal(t, 2, reads)
	})
}

func TestSchemaCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c schemaCache
	reads := 0
	get := func(version uint32, size int) {
		_, err := c.get(t.Context(), schemaKey{1, version}, func(context.Context) (Schema, error) {
			reads++
			return Schema{ID: 1, Version: version, Definition: strings.Repeat("x", size)}, nil
		})
		require.NoError(t, err)
		require.LessOrEqual(t, c.bytes, schemaCacheBytes)
		require.Equal(t, c.used.Len(), len(c.entries))
	}
	const mib = 1 << 20
	for version := range uint32(100) {
		get(version, mib)
		get(0, mib) // in use all the time
	}
	require.Equal(t, 100, reads)
	require.Equal(t, 15, len(c.entries))
	get(99, mib)
	require.Equal(t, 100, reads)
	get(1, mib)
	require.Equal(t, 101, reads)
	get(1000, schemaCacheBytes)
	get(1000, schemaCacheBytes)
	require.Equal(t, 103, reads, "what is too large is not kept")
	require.Equal(t, 15, len(c.entries), "nor does it displace others")
}
