package danube

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a broker tells, reading it neither crashes nor invents anything.
func FuzzGauges(f *testing.F) {
	f.Add([]byte(lagGauge + `{topic="/default/a-part-1",subscription="s"} 12` + "\n" + blockedGauge + `{topic="/a/b",subscription="s"} 1e300`))
	f.Add([]byte("# TYPE " + lagGauge + " histogram\n" + lagGauge + `{topic="a" 1`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseGauges(bytes.NewReader(body))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(r.all), bytes.Count(body, []byte("\n"))+1)
		for _, s := range r.All() {
			require.True(t, s.Lag.Told || s.Blocked.Told)
			require.False(t, s.Lag.Value < 0 || s.Blocked.Value < 0)
			require.Contains(t, r.Partitions(s.Topic, s.Subscription), s)
		}
	})
}

// What is wrapped comes out as it was, and what is not stays as it is.
func FuzzUnwrap(f *testing.F) {
	f.Add("json_schema", []byte(`{"JsonSchema":{"raw_schema":"{}"}}`))
	f.Add("protobuf", []byte(`{"Protobuf":{"raw_proto":1}}`))
	f.Add("number", []byte(`"Number"`))
	f.Fuzz(func(t *testing.T, kind string, definition []byte) {
		if got := unwrap(SchemaType(kind), definition); got != string(definition) && got != "" {
			require.True(t, json.Valid(definition))
		}
		text, err := json.Marshal(string(definition))
		require.NoError(t, err)
		var registered string
		require.NoError(t, json.Unmarshal(text, &registered)) // JSON holds text only
		require.Equal(t, registered, unwrap(SchemaAvro, []byte(`{"Avro":{"raw_schema":`+string(text)+`,"fingerprint":"f"}}`)))
	})
}
