package option

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Source is where values come from.
type Source struct {
	File string            // the document's name in messages
	Doc  map[string]any    // the decoded TOML document
	Env  map[string]string // the environment
	// Unused are paths that other programs of the same configuration use and this one does not.
	Unused []string
}

// Load gives every option its value: the environment's, else the document's (the present key before older ones), else its default.
// It reports every problem, each in a line that names the place and the mend. Unknown lists the keys of the document that no
// option knows.
func Load(options []Option, src Source) (unknown []Unknown, err error) {
	l := loader{Source: src, used: make(map[string]bool)}
	l.load(options, "", src.Doc)
	return l.unknown(options), errors.Join(l.errs...)
}

type loader struct {
	Source
	used map[string]bool // paths of the document that an option took
	errs []error
}

func (l *loader) load(options []Option, where string, doc map[string]any) {
	for _, o := range options {
		o.value.SetZero()
		if o.Default != "" {
			if err := o.setText(o.Default); err != nil {
				panic(fmt.Sprintf("option: default of %s: %v", o.Path, err)) // a fault of the struct, caught by any test that loads it
			}
		}
		set := l.fromDoc(o, where, doc)
		if text := l.Env[o.Env]; o.Env != "" && text != "" { // an empty variable is one that a container file left blank
			set = true
			if err := o.setText(text); err != nil {
				l.errs = append(l.errs, fmt.Errorf("environment %s: %w", o.Env, err))
			}
		}
		if !set && o.Required {
			l.errs = append(l.errs, fmt.Errorf("%s: %s is missing; set %s", l.File, where+o.Path, o.how(where)))
		}
	}
}

// how says how a missing option is set.
func (o Option) how(where string) string {
	set := fmt.Sprintf("%s = %q", where+o.Path, o.Example)
	if o.Kind != Text && o.Kind != Duration {
		set = fmt.Sprintf("%s = %s", where+o.Path, o.Example)
	}
	if o.Env != "" {
		set += " or the environment variable " + o.Env
	}
	return set
}

// fromDoc sets o from the document and tells whether it was there.
func (l *loader) fromDoc(o Option, where string, doc map[string]any) bool {
	found := false
	for _, path := range append([]string{o.Path}, o.Aliases...) {
		raw, ok := lookup(doc, path)
		if !ok {
			continue
		}
		l.used[where+path] = true
		if found {
			continue // an older name beside the present one
		}
		found = true
		if err := l.set(o, where+path, raw); err != nil {
			l.errs = append(l.errs, fmt.Errorf("%s: %s: %w", l.File, where+path, err))
		}
	}
	return found
}

func (l *loader) set(o Option, path string, raw any) error {
	if o.Kind != Tables {
		return o.setTOML(raw)
	}
	tables, ok := asTables(raw)
	if !ok {
		return o.mismatch(raw, nil)
	}
	list := reflect.MakeSlice(o.value.Type(), len(tables), len(tables))
	for i, table := range tables {
		l.load(fields("", list.Index(i)), fmt.Sprintf("%s[%d].", path, i), table)
	}
	o.value.Set(list)
	return nil
}

func asTables(raw any) ([]map[string]any, bool) {
	switch raw := raw.(type) {
	case []map[string]any:
		return raw, true
	case []any: // an inline array of tables
		var tables []map[string]any
		for _, item := range raw {
			table, ok := item.(map[string]any)
			if !ok {
				return nil, false
			}
			tables = append(tables, table)
		}
		return tables, true
	}
	return nil, false
}

func lookup(doc map[string]any, path string) (any, bool) {
	table, rest, nested := strings.Cut(path, ".")
	v, ok := doc[table]
	if !ok || !nested {
		return v, ok
	}
	inner, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	return lookup(inner, rest)
}

// An Unknown is a key of the document that no option knows.
type Unknown struct {
	Path    string
	Nearest string // a known path that looks like it; empty when none does
	Unused  bool   // it is known elsewhere and does nothing here
}

// String says it in one line.
func (u Unknown) String() string {
	if u.Unused {
		return fmt.Sprintf("key %s has no effect in this connector", u.Path)
	}
	if u.Nearest == "" {
		return fmt.Sprintf("unknown key %s", u.Path)
	}
	return fmt.Sprintf("unknown key %s; did you mean %s?", u.Path, u.Nearest)
}

func (l *loader) unknown(options []Option) []Unknown {
	var known []string
	for _, o := range options {
		known = append(known, o.Path)
		for _, f := range o.Fields {
			known = append(known, o.Path+"[]."+f.Path)
		}
	}
	var out []Unknown
	for _, path := range slices.Sorted(maps.Keys(leaves("", l.Doc))) {
		if !l.isUsed(path) && !isTableOf(path, known) {
			if slices.Contains(l.Unused, path) {
				out = append(out, Unknown{Path: path, Unused: true})
				continue
			}
			out = append(out, Unknown{Path: path, Nearest: nearest(path, known)})
		}
	}
	return out
}

// isUsed tells whether an option took path or a table around it.
func (l *loader) isUsed(path string) bool {
	if l.used[path] {
		return true
	}
	for p := range l.used {
		if strings.HasPrefix(path, p+".") {
			return true
		}
	}
	return false
}

// isTableOf tells whether path is a table that holds known options: an empty one is as good as none.
func isTableOf(path string, known []string) bool {
	return slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, path+".") })
}

// leaves lists the paths of all values that are no tables.
func leaves(prefix string, v any) map[string]bool {
	out := make(map[string]bool)
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			maps.Copy(out, leaves(join(prefix, key), inner))
		}
		if len(v) == 0 && prefix != "" {
			out[prefix] = true
		}
	case []map[string]any:
		for i, inner := range v {
			maps.Copy(out, leaves(fmt.Sprintf("%s[%d]", prefix, i), inner))
		}
	default:
		out[prefix] = true
	}
	return out
}
