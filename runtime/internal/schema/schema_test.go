package schema_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/schema"
)

func parse(t *testing.T, kind schema.Kind, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse(kind, []byte(text))
	require.NoError(t, err)
	return s
}

func TestKindsAndModes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]schema.Kind{
		"bytes": schema.Bytes, "String": schema.String, "number": schema.Number, "int": schema.Number, "INT64": schema.Number,
		"float": schema.Number, "double": schema.Number, "Avro": schema.Avro, "json_schema": schema.JSON, "json": schema.JSON,
		"protobuf": schema.Protobuf, "proto": schema.Protobuf,
	} {
		got, err := schema.ParseKind(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	_, err := schema.ParseKind("xml")
	require.ErrorContains(t, err, `unknown schema type "xml"; the types are bytes`)
	mode, err := schema.ParseMode("FULL")
	require.NoError(t, err)
	require.Equal(t, schema.Full, mode)
	_, err = schema.ParseMode("sideways")
	require.ErrorContains(t, err, `unknown compatibility mode "sideways"`)
}

func TestFingerprints(t *testing.T) {
	t.Parallel()
	const vector = `{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["a"]}`
	require.Equal(t, "sha256:966581834a83fb13299176d4d6072c637400903ea6a2cab06271706e5d8c9931", parse(t, schema.JSON, vector).Fingerprint())
	require.Equal(t, parse(t, schema.JSON, vector).Fingerprint(),
		parse(t, schema.JSON, ` { "required":["a"],"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"type":"object"}`).Fingerprint())
	require.NotEqual(t, parse(t, schema.JSON, vector).Fingerprint(), parse(t, schema.JSON, `{"type":"object"}`).Fingerprint())

	require.Equal(t, parse(t, schema.Avro, `"int"`).Fingerprint(), parse(t, schema.Avro, `{"type":"int"}`).Fingerprint())
	require.Equal(t,
		parse(t, schema.Avro, `{"type":"record","name":"r","namespace":"a.b","fields":[{"name":"x","type":{"type":"long"}}]}`).Fingerprint(),
		parse(t, schema.Avro, `{"name":"a.b.r","type":"record", "fields":[{"type":"long","name":"x"}]}`).Fingerprint())
	require.NotEqual(t, parse(t, schema.Avro, `"int"`).Fingerprint(), parse(t, schema.Avro, `{"type":"int","logicalType":"date"}`).Fingerprint())

	require.NotEqual(t, parse(t, schema.Protobuf, "message A {}").Fingerprint(), parse(t, schema.Protobuf, "message A { }").Fingerprint())
	require.Equal(t, "bytes", parse(t, schema.Bytes, "anything").Fingerprint())
	require.Equal(t, "string", parse(t, schema.String, "").Fingerprint())
	require.Equal(t, "number", parse(t, schema.Number, "\xff").Fingerprint())
}

func TestWrapped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind schema.Kind
		text string
		want string // with the fingerprint as FP
	}{
		{schema.JSON, `{"type":"object","a<b":"c"}`, `{"JsonSchema":{"raw_schema":"{\"type\":\"object\",\"a<b\":\"c\"}","fingerprint":"FP"}}`},
		{schema.Avro, ` "int"`, `{"Avro":{"raw_schema":" \"int\"","fingerprint":"FP"}}`},
		{schema.Protobuf, "message A {}", `{"Protobuf":{"raw_proto":"message A {}","message_name":"DefaultMessage","fingerprint":"FP"}}`},
		{schema.Bytes, "x", `"Bytes"`},
		{schema.String, "x", `"String"`},
		{schema.Number, "x", `"Number"`},
	} {
		s := parse(t, tt.kind, tt.text)
		fp, err := json.Marshal(s.Fingerprint())
		require.NoError(t, err)
		want := string(replace([]byte(tt.want), `"FP"`, string(fp)))
		require.Equal(t, want, string(s.Wrapped()))
	}
}

func TestInvalidDefinitions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind schema.Kind
		text string
		want string
	}{
		{schema.JSON, ``, "invalid json_schema definition: not JSON: EOF"},
		{schema.JSON, `{} x`, "something follows the value"},
		{schema.JSON, `{}}`, "something follows the value"},
		{schema.JSON, `{"type":"objekt"}`, "'/type'"},
		{schema.JSON, `[]`, "invalid json_schema definition"},
		{schema.JSON, `{"$ref":"file:///etc/passwd"}`, "is not part of the definition"},
		{schema.JSON, `{"$ref":"http://127.0.0.1:1/x"}`, "is not part of the definition"},
		{schema.JSON, `{"pattern":"("}`, "pattern"},
		{schema.JSON, "{\"title\":\"\xff\"}", "is not UTF-8 text"},
		{schema.Protobuf, "\xff", "is not UTF-8 text"},
		{schema.Avro, `{}`, `type without "type"`},
		{schema.Avro, `7`, "7 is not an Avro type"},
		{schema.Avro, `"strnig"`, `unknown type "strnig"`},
		{schema.Avro, `{"type":"record","name":"r"}`, "record r: no list of fields"},
		{schema.Avro, `{"type":"record","fields":[]}`, `record has the invalid name ""`},
		{schema.Avro, `{"type":"record","name":"1r","fields":[]}`, `invalid name "1r"`},
		{schema.Avro, `{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`, "field 1 has the invalid or repeated name"},
		{schema.Avro, `{"type":"record","name":"r","fields":[{"name":"a"}]}`, `field "a": null is not an Avro type`},
		{schema.Avro, `{"type":"record","name":"r","fields":[{"name":"a","type":"int","default":"x"}]}`, `default "x" is not of its type int`},
		{schema.Avro, `{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"record","name":"r","fields":[]}}]}`, "type r is defined twice"},
		{schema.Avro, `{"type":"enum","name":"e","symbols":["A","A"]}`, `symbol "A" is invalid or repeated`},
		{schema.Avro, `{"type":"enum","name":"e"}`, "no list of symbols"},
		{schema.Avro, `{"type":"fixed","name":"f","size":-1}`, "is not a number of bytes"},
		{schema.Avro, `{"type":"array"}`, `array without "items"`},
		{schema.Avro, `["int",["null"]]`, "union holds a second union"},
		{schema.Avro, `["int","int"]`, "union holds a second int"},
		{schema.Avro, `[]`, "union is empty"},
	} {
		_, err := schema.Parse(tt.kind, []byte(tt.text))
		require.ErrorContains(t, err, tt.want, "%s %s", tt.kind, tt.text)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestDB35Compatibility(t *testing.T) {
	t.Parallel()
	object := func(properties, required string) string {
		return `{"type":"object","properties":{` + properties + `},"required":[` + required + `]}`
	}
	const a, b = `"a":{"type":"string"}`, `"b":{"type":"integer"}`
	record := func(name, fields string) string {
		return `{"type":"record","name":"` + name + `","fields":[` + fields + `]}`
	}
	const x, y = `{"name":"x","type":"int"}`, `{"name":"y","type":"int"}`
	all, none := []schema.Mode{schema.None, schema.Backward, schema.Forward, schema.Full}, []schema.Mode{schema.None}
	backward, forward := []schema.Mode{schema.None, schema.Backward}, []schema.Mode{schema.None, schema.Forward}
	for name, tt := range map[string]struct {
		kind         schema.Kind
		latest, next string
		allowed      []schema.Mode
	}{
		"json: optional field added":         {schema.JSON, object(a, `"a"`), object(a+","+b, `"a"`), all},
		"json: optional field removed":       {schema.JSON, object(a+","+b, `"a"`), object(a, `"a"`), all},
		"json: required field removed":       {schema.JSON, object(a+","+b, `"a","b"`), object(a, `"a"`), forward},
		"json: new field required":           {schema.JSON, object(a, `"a"`), object(a+","+b, `"a","b"`), backward},
		"json: optional field made required": {schema.JSON, object(a+","+b, `"a"`), object(a+","+b, `"a","b"`), forward},
		"json: required field made optional": {schema.JSON, object(a, `"a"`), object(a, ``), all},
		"json: type changed":                 {schema.JSON, `{"type":"object"}`, `{"type":"array"}`, none},
		"json: type of a field changed":      {schema.JSON, object(a, ``), object(`"a":{"type":"integer"}`, ``), none},
		"json: type of a field dropped":      {schema.JSON, object(a, ``), object(`"a":true`, ``), all},
		"json: deeper levels do not count": {
			schema.JSON, object(`"a":{"type":"object","required":["z"],"properties":{"z":{"type":"string"}}}`, ``),
			object(`"a":{"type":"object","properties":{"z":{"type":"integer"}}}`, ``), all,
		},
		"json: required field never described": {schema.JSON, object(a, `"z"`), object(a+","+b, `"z"`), none},
		"json: whole schema is a boolean":      {schema.JSON, `true`, object(a, ``), all},

		"avro: field with default added":     {schema.Avro, record("r", x), record("r", x+`,{"name":"y","type":"int","default":0}`), all},
		"avro: field with null branch added": {schema.Avro, record("r", x), record("r", x+`,{"name":"y","type":["null","int"]}`), all},
		"avro: field without default added":  {schema.Avro, record("r", x), record("r", x+","+y), forward},
		"avro: field removed":                {schema.Avro, record("r", x+","+y), record("r", x), backward},
		"avro: record renamed":               {schema.Avro, record("r", x), record("s", x), none},
		"avro: types of fields do not count": {schema.Avro, record("r", x), record("r", `{"name":"x","type":"string"}`), all},
		"avro: union":                        {schema.Avro, `["null","int"]`, record("r", x), all},
		"avro: int to long":                  {schema.Avro, `"int"`, `"long"`, backward},
		"avro: int to double":                {schema.Avro, `"int"`, `"double"`, backward},
		"avro: long to double":               {schema.Avro, `"long"`, `"double"`, backward},
		"avro: float to double":              {schema.Avro, `"float"`, `"double"`, backward},
		"avro: long to int":                  {schema.Avro, `"long"`, `"int"`, forward},
		"avro: string to bytes":              {schema.Avro, `"string"`, `"bytes"`, all},
		"avro: int to string":                {schema.Avro, `"int"`, `"string"`, none},
		"avro: array of something else":      {schema.Avro, `{"type":"array","items":"int"}`, `{"type":"array","items":"string"}`, all},

		"protobuf: anything": {schema.Protobuf, "message A {}", "message B {}", all},
		"bytes":              {schema.Bytes, "", "", all},
		"string":             {schema.String, "", "", all},
		"number":             {schema.Number, "", "", all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			latest, next := parse(t, tt.kind, tt.latest), parse(t, tt.kind, tt.next)
			for _, mode := range all {
				problems := schema.Incompatible(mode, latest, next)
				require.Equal(t, contains(tt.allowed, mode), len(problems) == 0, "%s: %q", mode, problems)
			}
		})
	}
	require.NotEmpty(t, schema.Incompatible(schema.Backward, parse(t, schema.String, ""), parse(t, schema.Bytes, "")))
	require.Empty(t, schema.Incompatible(schema.None, parse(t, schema.String, ""), parse(t, schema.Avro, `"int"`)))
}
