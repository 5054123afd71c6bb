package schema

import (
	"encoding/json"
	"fmt"
	"slices"
)

// avroPromotions are the primitive types, writer and reader, between which Avro converts as far as the real broker knows it.
var avroPromotions = map[[2]string]bool{
	{"int", "long"}: true, {"float", "double"}: true, {"int", "double"}: true, {"long", "double"}: true,
	{"string", "bytes"}: true, {"bytes", "string"}: true,
}

// unreadableAvro lists why reader cannot read what writer wrote. As in the real broker a union is compatible with everything, and the
// types of fields that both records have are not compared.
func unreadableAvro(reader, writer *avroType) []string {
	switch {
	case reader.kind == "union" || writer.kind == "union":
		return nil
	case reader.kind != writer.kind:
		if avroPromotions[[2]string{writer.kind, reader.kind}] {
			return nil
		}
		return []string{fmt.Sprintf("%s cannot be read as %s", writer.kind, reader.kind)}
	case reader.kind != "record":
		return nil
	case reader.name != writer.name:
		return []string{fmt.Sprintf("record %s cannot be read as record %s", writer.name, reader.name)}
	}
	var problems []string
	for _, f := range reader.fields {
		written := slices.ContainsFunc(writer.fields, func(w avroField) bool { return w.name == f.name })
		if !written && !f.hasDefault && !f.kind.nullable() {
			problems = append(problems, fmt.Sprintf("field %q is not written and has no default", f.name))
		}
	}
	return problems
}

func (t *avroType) nullable() bool {
	return t.kind == "null" || slices.ContainsFunc(t.branches, func(b *avroType) bool { return b.kind == "null" })
}

// fits says whether v may be the default of a field of type t. Of a union it may be any branch.
func (t *avroType) fits(v any) bool {
	switch t.kind {
	case "null":
		return v == nil
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "int", "long":
		n, _ := v.(json.Number)
		_, err := n.Int64()
		return err == nil
	case "float", "double":
		_, ok := v.(json.Number)
		return ok
	case "bytes", "string", "fixed":
		_, ok := v.(string)
		return ok
	case "enum":
		s, ok := v.(string)
		return ok && slices.Contains(t.symbols, s)
	case "union":
		return slices.ContainsFunc(t.branches, func(b *avroType) bool { return b.fits(v) })
	}
	return t.fitsMany(v)
}

// fitsMany is fits for the types that hold others. A value has an end, so that types which hold themselves have one too.
func (t *avroType) fitsMany(v any) bool {
	switch v := v.(type) {
	case []any:
		return t.kind == "array" && !slices.ContainsFunc(v, func(item any) bool { return !t.items.fits(item) })
	case map[string]any:
		if t.kind == "map" {
			for _, item := range v {
				if !t.items.fits(item) {
					return false
				}
			}
			return true
		}
		for _, f := range t.fields {
			if item, there := v[f.name]; !f.hasDefault && !there || there && !f.kind.fits(item) {
				return false
			}
		}
		return t.kind == "record"
	}
	return false
}
