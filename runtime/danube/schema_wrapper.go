package danube

import (
	"encoding/json"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
)

// wrappers are the names under which the registry wraps the text of a schema.
var wrappers = map[SchemaType]string{SchemaJSON: "JsonSchema", SchemaAvro: "Avro", SchemaProtobuf: "Protobuf"}

// primitives are what stands for the definition of a type that has none.
var primitives = map[SchemaType]string{SchemaBytes: `"Bytes"`, SchemaString: `"String"`, SchemaNumber: `"Number"`}

// unwrap finds the registered text in what the registry calls the definition: a JSON object that holds it under the name of the type. What
// is no such object is the text itself.
func unwrap(kind SchemaType, definition []byte) string {
	if primitives[kind] == string(definition) {
		return ""
	}
	var outer map[string]json.RawMessage
	name, known := wrappers[kind]
	if !known || json.Unmarshal(definition, &outer) != nil || len(outer) != 1 || outer[name] == nil {
		return string(definition)
	}
	var inner struct {
		RawSchema *string `json:"raw_schema"`
		RawProto  *string `json:"raw_proto"`
	}
	switch err := json.Unmarshal(outer[name], &inner); {
	case err != nil:
	case inner.RawSchema != nil && kind != SchemaProtobuf:
		return *inner.RawSchema
	case inner.RawProto != nil && kind == SchemaProtobuf:
		return *inner.RawProto
	}
	return string(definition)
}

// schemaFromWire reads what GetSchema and GetLatestSchema answer.
func schemaFromWire(w *schemapb.GetSchemaResponse) Schema {
	s := Schema{
		ID:            w.GetSchemaId(),
		Version:       w.GetVersion(),
		Subject:       w.GetSubject(),
		Type:          schemaTypeOf(w.GetSchemaType()),
		Description:   w.GetDescription(),
		CreatedBy:     w.GetCreatedBy(),
		CreatedAt:     time.Unix(int64(w.GetCreatedAt()), 0),
		Tags:          w.GetTags(),
		Fingerprint:   w.GetFingerprint(),
		Compatibility: compatibilityOf(w.GetCompatibilityMode()),
	}
	s.Definition = unwrap(s.Type, w.GetSchemaDefinition())
	return s
}

// schemaTypeOf reads a type that a broker tells; one that is not known yet stays as it is.
func schemaTypeOf(name string) SchemaType {
	t := SchemaType(name)
	if t.UnmarshalText([]byte(name)) != nil {
		return SchemaType(name)
	}
	return t
}

// compatibilityOf reads a mode that a broker tells, which is in upper case in some answers; one that is not known yet stays as it is.
func compatibilityOf(name string) Compatibility {
	c := Compatibility(name)
	if c.UnmarshalText([]byte(name)) != nil {
		return Compatibility(name)
	}
	return c
}
