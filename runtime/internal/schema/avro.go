package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// An avroType is a parsed Avro schema. A named type that is used inside itself is found there again, so types form a graph.
type avroType struct {
	kind     string // "null" … "string", "record", "enum", "fixed", "array", "map" or "union"
	name     string // with its namespace; only of records, enums and fixed
	fields   []avroField
	symbols  []string
	size     int64       // of fixed
	items    *avroType   // of array and map
	branches []*avroType // of union
}

// An avroField is one field of a record.
type avroField struct {
	name       string
	kind       *avroType
	hasDefault bool
}

// avroPrimitives are the types that are written as their name.
var avroPrimitives = map[string]bool{
	"null": true, "boolean": true, "int": true, "long": true, "float": true, "double": true, "bytes": true, "string": true,
}

// maxAvroDepth is how deep types may be nested in one another.
const maxAvroDepth = 500

// An avroParser knows the types named so far.
type avroParser struct {
	named map[string]*avroType
	depth int
}

// parseAvro reads a definition and gives its canonical form: full names, no namespaces, primitive types as names, sorted keys.
func parseAvro(definition []byte) (*avroType, []byte, error) {
	v, err := decode(definition)
	if err != nil {
		return nil, nil, err
	}
	p := &avroParser{named: make(map[string]*avroType)}
	t, canonical, err := p.parse(v, "")
	if err != nil {
		return nil, nil, err
	}
	return t, compact(canonical), nil
}

// parse reads a type that stands in a namespace and returns it with its canonical form.
func (p *avroParser) parse(v any, namespace string) (*avroType, any, error) {
	if p.depth++; p.depth > maxAvroDepth {
		return nil, nil, fmt.Errorf("types are nested more than %d deep", maxAvroDepth)
	}
	defer func() { p.depth-- }()
	switch v := v.(type) {
	case string:
		return p.reference(v, namespace)
	case []any:
		return p.union(v, namespace)
	case map[string]any:
		return p.object(v, namespace)
	}
	return nil, nil, fmt.Errorf("%s is not an Avro type: it must be a name, an object or a list", compact(v))
}

// reference finds a primitive type or one that was named before.
func (p *avroParser) reference(name, namespace string) (*avroType, any, error) {
	if avroPrimitives[name] {
		return &avroType{kind: name}, name, nil
	}
	full := fullName(name, namespace)
	t := p.named[full]
	if t == nil {
		return nil, nil, fmt.Errorf("unknown type %q", full)
	}
	return t, full, nil
}

func (p *avroParser) union(branches []any, namespace string) (*avroType, any, error) {
	t := &avroType{kind: "union"}
	var canonical []any
	seen := make(map[string]bool)
	for _, b := range branches {
		branch, c, err := p.parse(b, namespace)
		if err != nil {
			return nil, nil, err
		}
		id := branch.kind + " " + branch.name
		if branch.kind == "union" || seen[id] {
			return nil, nil, fmt.Errorf("union holds a second %s", strings.TrimSpace(id))
		}
		seen[id] = true
		t.branches = append(t.branches, branch)
		canonical = append(canonical, c)
	}
	if len(branches) == 0 {
		return nil, nil, fmt.Errorf("union is empty")
	}
	return t, canonical, nil
}

func (p *avroParser) object(o map[string]any, namespace string) (*avroType, any, error) {
	kind, ok := o["type"].(string)
	if !ok {
		if o["type"] == nil {
			return nil, nil, fmt.Errorf("type without \"type\"")
		}
		return p.parse(o["type"], namespace) // {"type": {…}} means the inner type
	}
	switch kind {
	case "record", "error", "enum", "fixed":
		return p.namedType(kind, o, namespace)
	case "array", "map":
		return p.container(kind, o, namespace)
	}
	t, canonical, err := p.reference(kind, namespace)
	if err != nil || len(o) == 1 {
		return t, canonical, err
	}
	o = maps.Clone(o) // attributes such as a logicalType are part of the schema
	o["type"] = canonical
	return t, o, nil
}

// container reads an array or a map.
func (p *avroParser) container(kind string, o map[string]any, namespace string) (*avroType, any, error) {
	key := map[string]string{"array": "items", "map": "values"}[kind]
	if o[key] == nil {
		return nil, nil, fmt.Errorf("%s without %q", kind, key)
	}
	items, c, err := p.parse(o[key], namespace)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", kind, err)
	}
	o = maps.Clone(o)
	o[key] = c
	return &avroType{kind: kind, items: items}, o, nil
}

// namedType reads a record, an enum or a fixed.
func (p *avroParser) namedType(kind string, o map[string]any, namespace string) (*avroType, any, error) {
	if kind == "error" {
		kind = "record"
	}
	name, _ := o["name"].(string)
	if own, ok := o["namespace"].(string); ok {
		namespace = own
	}
	t := &avroType{kind: kind, name: fullName(name, namespace)}
	for part := range strings.SplitSeq(t.name, ".") {
		if !avroName(part) {
			return nil, nil, fmt.Errorf("%s has the invalid name %q", kind, t.name)
		}
	}
	if p.named[t.name] != nil || avroPrimitives[t.name] {
		return nil, nil, fmt.Errorf("type %s is defined twice", t.name)
	}
	p.named[t.name] = t
	o = maps.Clone(o)
	o["name"] = t.name
	delete(o, "namespace")
	var err error
	switch kind {
	case "record":
		err = p.fields(t, o)
	case "enum":
		err = t.readSymbols(o)
	case "fixed":
		size, _ := o["size"].(json.Number)
		if t.size, err = size.Int64(); err != nil || t.size < 0 {
			err = fmt.Errorf("size %q is not a number of bytes", size)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", kind, t.name, err)
	}
	return t, o, nil
}

// fields reads the fields of record t from o, in which it puts their canonical form.
func (p *avroParser) fields(t *avroType, o map[string]any) error {
	list, ok := o["fields"].([]any)
	if !ok {
		return fmt.Errorf("no list of fields")
	}
	namespace := t.name[:max(strings.LastIndex(t.name, "."), 0)]
	canonical := make([]any, 0, len(list))
	seen := make(map[string]bool)
	for i, v := range list {
		f, _ := v.(map[string]any)
		name, _ := f["name"].(string)
		if !avroName(name) || seen[name] {
			return fmt.Errorf("field %d has the invalid or repeated name %q", i, name)
		}
		seen[name] = true
		kind, c, err := p.parse(f["type"], namespace)
		if err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
		fallback, hasDefault := f["default"]
		if hasDefault && !kind.fits(fallback) {
			return fmt.Errorf("field %q: default %s is not of its type %s", name, compact(fallback), kind.kind)
		}
		t.fields = append(t.fields, avroField{name: name, kind: kind, hasDefault: hasDefault})
		f = maps.Clone(f)
		f["type"] = c
		canonical = append(canonical, f)
	}
	o["fields"] = canonical
	return nil
}

// readSymbols reads the values of an enum.
func (t *avroType) readSymbols(o map[string]any) error {
	list, ok := o["symbols"].([]any)
	if !ok {
		return fmt.Errorf("no list of symbols")
	}
	seen := make(map[string]bool)
	for _, v := range list {
		s, _ := v.(string)
		if !avroName(s) || seen[s] {
			return fmt.Errorf("symbol %s is invalid or repeated", compact(v))
		}
		seen[s] = true
		t.symbols = append(t.symbols, s)
	}
	return nil
}

// fullName is a name in a namespace, unless it has one of its own.
func fullName(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return namespace + "." + name
}

// avroName says whether s may name something: letters, digits and '_', no digit first.
func avroName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
