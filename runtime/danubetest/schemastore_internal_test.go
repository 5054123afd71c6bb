package danubetest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchemasAfterACrash(t *testing.T) {
	t.Parallel()
	const version = `{"kind":"string","created_at":"2026-01-01T00:00:00Z"}`
	for name, tt := range map[string]struct {
		live  map[string]string
		names int
		err   string
	}{
		"whole": {live: map[string]string{"schema:1": `{"name":"a"}`, "schema:1:1": version, "schema:1:2": version}, names: 1},
		"killed within a registration": {
			live: map[string]string{"schema:1": `{"name":"a"}`, "schema:1:1": version, "schema:2": `{"name":"b"}`}, names: 1,
		},
		"a version is missing":        {live: map[string]string{"schema:1": `{"name":"a"}`, "schema:1:2": version}, err: "of 2 records of the schema registry 1 belong"},
		"a subject is missing":        {live: map[string]string{"schema:2": `{"name":"b"}`, "schema:2:1": version}, err: "of 2 records of the schema registry 2 belong"},
		"of another version":          {live: map[string]string{"schema:1": `[]`}, err: "what is stored of schema 1 cannot be understood"},
		"a version of another broker": {live: map[string]string{"schema:1": `{"name":"a"}`, "schema:1:1": `[]`}, err: "schema subject a: what is stored of version 1"},
		"not a schema": {
			live: map[string]string{"schema:1": `{"name":"a"}`, "schema:1:1": `{"kind":"avro","definition":"{"}`}, err: "schema subject a: stored version 1: invalid avro",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r schemas
			r.clear()
			size, err := r.restore(tt.live)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, r.summaries(), tt.names)
			require.Equal(t, size, r.clear(), "what is charged is given back")
			require.NotEmpty(t, r.take(), "the data directory forgets them too")
		})
	}
}
