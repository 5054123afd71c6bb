// Package schema holds the rules of Danube's schema registry: which definitions it takes, what their fingerprints are, which version of
// a schema may follow which, and what payload a schema admits. It knows nothing of subjects, ids or versions.
package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Kind is a schema type under its canonical name.
type Kind string

// The six schema types.
const (
	Bytes    Kind = "bytes"
	String   Kind = "string"
	Number   Kind = "number"
	Avro     Kind = "avro"
	JSON     Kind = "json_schema"
	Protobuf Kind = "protobuf"
)

// ParseKind reads the name of a schema type or one of its aliases, in any case.
func ParseKind(name string) (Kind, error) {
	switch strings.ToLower(name) {
	case "bytes":
		return Bytes, nil
	case "string":
		return String, nil
	case "number", "int", "int64", "float", "double":
		return Number, nil
	case "avro":
		return Avro, nil
	case "json_schema", "json":
		return JSON, nil
	case "protobuf", "proto":
		return Protobuf, nil
	}
	return "", fmt.Errorf("unknown schema type %q; the types are bytes, string, number, avro, json_schema and protobuf", name)
}

// ErrProtobufPayload is returned by [Schema.Validate] for every payload of a protobuf schema: a definition is kept as text and cannot
// be used to check anything.
var ErrProtobufPayload = errors.New("payloads of protobuf schemas cannot be validated")

// A Schema is a definition that was found valid. It is immutable and may be used concurrently.
type Schema struct {
	kind        Kind
	raw         string
	fingerprint string
	avro        *avroType   // only for Avro
	json        *jsonSchema // only for JSON
}

// Parse checks a definition. That of a bytes, string or number schema is ignored, that of a protobuf schema only has to be text. The
// definition may be changed afterwards.
func Parse(kind Kind, definition []byte) (*Schema, error) {
	s := &Schema{kind: kind, raw: string(definition)}
	switch kind {
	case Bytes, String, Number:
		s.raw, s.fingerprint = "", string(kind)
		return s, nil
	}
	if !utf8.Valid(definition) {
		return nil, fmt.Errorf("definition of a %s schema is not UTF-8 text", kind)
	}
	canonical := definition
	var err error
	switch kind {
	case Avro:
		s.avro, canonical, err = parseAvro(definition)
	case JSON:
		s.json, canonical, err = parseJSONSchema(definition)
	}
	if err != nil {
		return nil, fmt.Errorf("invalid %s definition: %w", kind, err)
	}
	sum := sha256.Sum256(canonical)
	s.fingerprint = "sha256:" + hex.EncodeToString(sum[:])
	return s, nil
}

// Kind is the schema's type.
func (s *Schema) Kind() Kind { return s.kind }

// Fingerprint is equal for definitions that mean the same: JSON schemas that differ in the order of keys or in white space, Avro schemas
// that are parsed alike.
func (s *Schema) Fingerprint() string { return s.fingerprint }

// Definition is the text that was parsed, empty for a kind that has none.
func (s *Schema) Definition() string { return s.raw }

// Wrapped is the definition as the registry hands it out: the registered text inside a JSON object that names the type.
func (s *Schema) Wrapped() []byte {
	type text struct {
		RawSchema   string `json:"raw_schema"`
		Fingerprint string `json:"fingerprint"`
	}
	type proto struct {
		RawProto    string `json:"raw_proto"`
		MessageName string `json:"message_name"`
		Fingerprint string `json:"fingerprint"`
	}
	var wrapper any
	switch s.kind {
	case Avro:
		wrapper = map[string]text{"Avro": {s.raw, s.fingerprint}}
	case JSON:
		wrapper = map[string]text{"JsonSchema": {s.raw, s.fingerprint}}
	case Protobuf:
		wrapper = map[string]proto{"Protobuf": {s.raw, "DefaultMessage", s.fingerprint}}
	case Bytes:
		wrapper = "Bytes"
	case String:
		wrapper = "String"
	default:
		wrapper = "Number"
	}
	return compact(wrapper)
}

// Validate says why payload is not one of this schema; nil if it is. For protobuf it is always [ErrProtobufPayload].
func (s *Schema) Validate(payload []byte) error {
	switch s.kind {
	case String:
		if !utf8.Valid(payload) {
			return errors.New("payload is not UTF-8 text")
		}
	case Number:
		if len(payload) != 4 && len(payload) != 8 {
			return fmt.Errorf("payload of a number takes 4 or 8 bytes and this one has %d", len(payload))
		}
	case JSON:
		return s.json.validate(payload)
	case Avro:
		return validateAvroFile(payload)
	case Protobuf:
		return ErrProtobufPayload
	}
	return nil
}

// decode reads one JSON value and nothing else. Numbers keep their spelling; those that do not fit a double are refused, as by the real
// broker, and because exact arithmetic with them would take forever.
func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("not JSON: something follows the value at byte %d", d.InputOffset())
	}
	return v, checkNumbers(v)
}

// minExponent is the lowest exponent of a number; a double has none below -324.
const minExponent = -400

// checkNumbers says whether every number in v fits a double.
func checkNumbers(v any) error {
	switch v := v.(type) {
	case json.Number:
		_, err := v.Float64()
		if i := strings.IndexAny(v.String(), "eE"); i >= 0 && err == nil {
			var exponent int
			if exponent, err = strconv.Atoi(v.String()[i+1:]); err == nil && exponent < minExponent {
				err = strconv.ErrRange
			}
		}
		if err != nil {
			return fmt.Errorf("number %.30s is out of range", v)
		}
	case []any:
		for _, item := range v {
			if err := checkNumbers(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, item := range v {
			if err := checkNumbers(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// compact writes v, which came from decode or is made of strings, with sorted object keys and without white space.
func compact(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only values that JSON cannot express fail
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
