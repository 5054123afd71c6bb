package option

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Sample writes a configuration file that loads: required options with their example values, all others commented out with their
// defaults. Head becomes the comment on top; values overrides what is shown for single paths, and shows those uncommented.
func Sample(head string, options []Option, values map[string]string) string {
	var b strings.Builder
	for line := range strings.Lines(head) {
		b.WriteString("# " + line)
	}
	b.WriteString("\n")
	for i, table := range tables(options) {
		if i > 0 {
			fmt.Fprintf(&b, "\n[%s]\n", table)
		}
		for _, o := range options {
			if tableOf(o.Path) != table {
				continue
			}
			if o.Kind == Tables {
				sampleTables(&b, o)
				continue
			}
			value, shown := values[o.Path]
			if !shown {
				value = orElse(o.Example, o.Default)
			}
			sampleLine(&b, o, lastOf(o.Path), value, !o.Required && !shown)
		}
	}
	return b.String()
}

func sampleLine(b *strings.Builder, o Option, key, value string, commented bool) {
	fmt.Fprintf(b, "# %s\n", describe(o))
	line := key + " = " + literal(o, value)
	if commented {
		line = "# " + line
	}
	b.WriteString(line + "\n")
}

// sampleTables shows an array of tables as a commented block, because root keys after it would belong to it.
func sampleTables(b *strings.Builder, o Option) {
	fmt.Fprintf(b, "# %s\n# [[%s]]\n", o.Doc, o.Path)
	for _, f := range o.Fields {
		fmt.Fprintf(b, "# %s = %s # %s\n", f.Path, literal(f, orElse(f.Example, f.Default)), f.Doc)
	}
}

func describe(o Option) string {
	if o.Env == "" {
		return o.Doc
	}
	return o.Doc + " (environment: " + o.Env + ")"
}

// literal writes text, in the form of the environment, as TOML.
func literal(o Option, text string) string {
	switch o.Kind {
	case Whole:
		return orElse(text, "0")
	case Number:
		return orElse(text, "0.0")
	case Flag:
		return orElse(text, "false")
	case Map:
		return "{}"
	case List:
		if text == "" {
			return "[]"
		}
		items := strings.Split(text, ",")
		for i := range items {
			items[i] = strconv.Quote(items[i])
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return strconv.Quote(text)
	}
}

// tables lists the tables of options, the root first, in order of appearance.
func tables(options []Option) []string {
	out := []string{""}
	for _, o := range options {
		if t := tableOf(o.Path); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

func tableOf(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}

// Docs writes the options as a Markdown table.
func Docs(options []Option) string {
	var b strings.Builder
	b.WriteString("| Key | Type | Default | Environment | What it does |\n| --- | --- | --- | --- | --- |\n")
	for _, o := range options {
		docsRow(&b, o.Path, o)
		for _, f := range o.Fields {
			docsRow(&b, o.Path+"[]."+f.Path, f)
		}
	}
	return b.String()
}

func docsRow(b *strings.Builder, path string, o Option) {
	def := "required"
	if !o.Required {
		def = ""
		if o.Default != "" {
			def = "`" + o.Default + "`"
		}
	}
	kind := string(o.Kind)
	if o.Secret {
		kind = "secret"
	}
	envName := ""
	if o.Env != "" {
		envName = "`" + o.Env + "`"
	}
	cells := []string{"`" + path + "`", kind, def, envName, strings.ReplaceAll(o.Doc, "|", `\|`)}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// Schema writes a JSON Schema (draft 2020-12) of the configuration file for editors. Older keys are not in it.
func Schema(title string, options []Option) ([]byte, error) {
	root := object()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	for _, o := range options {
		place(root, o.Path, o)
	}
	out, err := json.MarshalIndent(root, "", "  ")
	return append(out, '\n'), err
}

func object() map[string]any {
	return map[string]any{"type": "object", "properties": map[string]any{}}
}

// place adds o to the object that its path leads to.
func place(at map[string]any, path string, o Option) {
	table, rest, nested := strings.Cut(path, ".")
	properties := at["properties"].(map[string]any)
	if !nested {
		// An option that the environment can set need not be in the file.
		if o.Required && o.Env == "" {
			required, _ := at["required"].([]string)
			at["required"] = append(required, path)
		}
		properties[path] = property(o)
		return
	}
	inner, ok := properties[table].(map[string]any)
	if !ok {
		inner = object()
		properties[table] = inner
	}
	place(inner, rest, o)
}

func property(o Option) map[string]any {
	p := map[string]any{"description": o.Doc}
	switch o.Kind {
	case Whole:
		p["type"] = "integer"
	case Number:
		p["type"] = "number"
	case Flag:
		p["type"] = "boolean"
	case List:
		p["type"], p["items"] = "array", map[string]any{"type": "string"}
	case Map:
		p["type"], p["additionalProperties"] = "object", map[string]any{"type": "string"}
	case Tables:
		element := object()
		for _, f := range o.Fields {
			place(element, f.Path, f)
		}
		p["type"], p["items"] = "array", element
	default:
		p["type"] = "string"
	}
	if d := typedDefault(o); d != nil {
		p["default"] = d
	}
	return p
}

// typedDefault is the default as a JSON value, nil when there is none.
func typedDefault(o Option) any {
	if o.Default == "" {
		return nil
	}
	switch o.Kind {
	case Whole, Number, Flag:
		return json.RawMessage(o.Default)
	case List:
		return strings.Split(o.Default, ",")
	default:
		return o.Default
	}
}
