// Package option turns the fields of a configuration struct into options: it fills them from defaults, a TOML document and the
// environment, and derives sample file, documentation and JSON Schema from them.
//
// A field and its tags are the only place where an option is described:
//
//	toml     the key inside its table; "-" leaves the field out
//	alias    older keys that mean the same, separated by spaces; one with a leading "/" is counted from the document's root
//	env      the environment variable that overrides the file
//	default  the value of an option that nobody sets, in the form that the environment takes
//	example  for an option that must be set: the value that the sample file shows
//	doc      what it does, in one line
//
// Embedded structs add their fields to the struct around them, other structs are tables, slices of structs are arrays of tables.
package option

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// An Option is one key of the configuration.
type Option struct {
	Path     string   // from the document's root: "processing.batch_size"
	Aliases  []string // older paths, most recent first
	Env      string   // empty when no variable sets it
	Default  string   // in the form of the environment; empty when there is none
	Example  string
	Required bool
	Doc      string
	Kind     Kind
	Secret   bool
	Fields   []Option // of one element, for Kind Tables; paths are relative to it

	value reflect.Value
}

// A Kind is the type of an option as users know it.
type Kind string

// The kinds.
const (
	Text     Kind = "string"
	Whole    Kind = "integer"
	Number   Kind = "number"
	Flag     Kind = "boolean"
	Duration Kind = "duration"
	List     Kind = "list of strings"
	Map      Kind = "table of strings"
	Tables   Kind = "array of tables"
)

// A Masked value never shows itself in logs and documents.
type Masked interface{ Masked() }

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	maskedType   = reflect.TypeFor[Masked]()
)

// Of lists the options of the struct that target points to, in the order of its fields. Table is the path of the table that holds
// them, empty for the root.
func Of(table string, target any) []Option {
	return fields(table, reflect.ValueOf(target).Elem())
}

func fields(table string, v reflect.Value) []Option {
	var all []Option
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := f.Tag.Get("toml")
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			all = append(all, fields(table, v.Field(i))...)
		case key == "" || key == "-" || !f.IsExported():
		case f.Type.Kind() == reflect.Struct && !implements(f.Type, textType):
			all = append(all, fields(join(table, key), v.Field(i))...)
		default:
			all = append(all, field(table, key, f, v.Field(i)))
		}
	}
	return all
}

func field(table, key string, f reflect.StructField, v reflect.Value) Option {
	o := Option{
		Path:    join(table, key),
		Env:     f.Tag.Get("env"),
		Default: f.Tag.Get("default"),
		Example: f.Tag.Get("example"),
		Doc:     f.Tag.Get("doc"),
		Kind:    kindOf(f.Type),
		Secret:  implements(f.Type, maskedType),
		value:   v,
	}
	o.Required = o.Example != "" && o.Default == ""
	for _, alias := range strings.Fields(f.Tag.Get("alias")) {
		if rooted, ok := strings.CutPrefix(alias, "/"); ok {
			o.Aliases = append(o.Aliases, rooted)
		} else {
			o.Aliases = append(o.Aliases, join(table, alias))
		}
	}
	if o.Kind == Tables {
		o.Fields = fields("", reflect.New(f.Type.Elem()).Elem())
	}
	return o
}

func kindOf(t reflect.Type) Kind {
	switch {
	case t == durationType:
		return Duration
	case implements(t, textType):
		return Text
	}
	switch t.Kind() {
	case reflect.String:
		return Text
	case reflect.Bool:
		return Flag
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Whole
	case reflect.Float32, reflect.Float64:
		return Number
	case reflect.Map:
		return Map
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return Tables
		}
		return List
	}
	panic("option: a configuration field cannot be of type " + t.String())
}

func implements(t, iface reflect.Type) bool {
	return t.Implements(iface) || reflect.PointerTo(t).Implements(iface)
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}
