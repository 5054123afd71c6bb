package danube

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Schema is one version of a subject in the schema registry.
type Schema struct {
	// ID belongs to the subject: all its versions have it. What tells one schema from another is ID and Version together.
	ID      uint64
	Version uint32 // from 1
	Subject string
	Type    SchemaType
	// Definition is the text that was registered; empty for bytes, string and number, which have none.
	Definition  string
	Description string
	CreatedBy   string
	CreatedAt   time.Time // in whole seconds
	Tags        []string
	Fingerprint string // equal for definitions that the registry takes for the same; not to be interpreted
	// Compatibility is the subject's mode. It may change, so that what [Schemas.Version] returns leaves it empty.
	Compatibility Compatibility
}

// A SchemaType is a kind of schema under the name that configuration files and the registry use.
type SchemaType string

// The schema types. The registry keeps protobuf definitions unread, and the real broker fails a publish when payloads of such a schema
// are to be validated.
const (
	SchemaBytes    SchemaType = "bytes"
	SchemaString   SchemaType = "string"
	SchemaNumber   SchemaType = "number"
	SchemaAvro     SchemaType = "avro"
	SchemaJSON     SchemaType = "json_schema"
	SchemaProtobuf SchemaType = "protobuf"
)

// otherSchemaNames are those that the registry takes beside the canonical ones.
var otherSchemaNames = map[string]SchemaType{
	"int": SchemaNumber, "int64": SchemaNumber, "float": SchemaNumber, "double": SchemaNumber, "json": SchemaJSON, "proto": SchemaProtobuf,
}

// UnmarshalText takes the names in any case, and the registry's other names for them: int, int64, float and double, json, proto.
func (t *SchemaType) UnmarshalText(text []byte) error {
	if other, ok := otherSchemaNames[strings.ToLower(string(text))]; ok {
		*t = other
		return nil
	}
	return oneOf(t, "schema type", text, SchemaBytes, SchemaString, SchemaNumber, SchemaAvro, SchemaJSON, SchemaProtobuf)
}

// A Compatibility says which schemas may follow the latest version of a subject.
type Compatibility string

// The compatibility modes. A new subject has CompatibleBackward.
const (
	CompatibleAny      Compatibility = "none"     // every schema may follow
	CompatibleBackward Compatibility = "backward" // readers of the new version understand what was written with the old one
	CompatibleForward  Compatibility = "forward"  // readers of the old version understand what is written with the new one
	CompatibleFull     Compatibility = "full"     // both
)

// UnmarshalText takes the names in any case.
func (c *Compatibility) UnmarshalText(text []byte) error {
	return oneOf(c, "compatibility mode", text, CompatibleAny, CompatibleBackward, CompatibleForward, CompatibleFull)
}

// A ValidationPolicy says what the broker does with messages that do not have the schema of their topic.
type ValidationPolicy string

// The validation policies. A new topic has ValidateWarn.
const (
	// ValidateNone takes every message.
	ValidateNone ValidationPolicy = "none"
	// ValidateWarn takes messages without schema or of another subject, but refuses those with a schema id that is not registered and,
	// where payloads are validated, those whose payload is not what their schema says.
	ValidateWarn ValidationPolicy = "warn"
	// ValidateEnforce takes only messages with a schema of the topic's subject.
	ValidateEnforce ValidationPolicy = "enforce"
)

// UnmarshalText takes the names in any case.
func (p *ValidationPolicy) UnmarshalText(text []byte) error {
	return oneOf(p, "validation policy", text, ValidateNone, ValidateWarn, ValidateEnforce)
}

// oneOf sets v to the name that text is, in any case.
func oneOf[T ~string](v *T, what string, text []byte, names ...T) error {
	want := T(strings.ToLower(string(text)))
	if slices.Contains(names, want) {
		*v = want
		return nil
	}
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = string(n)
	}
	return fmt.Errorf("%q is not a %s; write one of %s", text, what, strings.Join(list, ", "))
}
