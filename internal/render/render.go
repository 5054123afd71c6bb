// Package render turns answers and templates into the files of a repository. It is pure: no clock, disk, network or environment, so
// that the same answers give the same bytes on every machine.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/question"
)

// Suffix ends the name of every template; a file's name in the repository is what stands before it.
const Suffix = ".tmpl"

// Input is all that decides the content of a repository.
type Input struct {
	Entry   catalog.Entry
	Module  string
	Topic   string
	Runtime Runtime
}

// Fields are what a template may name, as {{.Name}}: flat texts, computed before, so that templates substitute and never compute.
func (in Input) fields() map[string]string {
	name := question.Name(in.Module)
	return map[string]string{
		"Kind":           in.Entry.Kind,   // sink or source
		"System":         in.Entry.System, // http, mongodb, … or blank
		"Title":          in.Entry.Title,  // the system's name in prose
		"Module":         in.Module,       // module path
		"Name":           name,            // last element of the module path: binary and connector_name
		"Topic":          in.Topic,        // /namespace/name
		"Subscription":   name,
		"RuntimeVersion": in.Runtime.Version, // v0.1.0
	}
}

// Render gives the files of the repository that in describes. templates holds the layers: see package templates.
func Render(templates fs.FS, in Input) (Tree, error) {
	sources, err := collect(templates, in.Entry)
	if err != nil {
		return nil, err
	}
	fields := in.fields()
	tree := make(Tree, 0, len(sources))
	for out, src := range sources {
		text, err := fs.ReadFile(templates, src.path)
		if err != nil {
			return nil, fmt.Errorf("read template: %w", err)
		}
		if text, err = substitute(text, fields); err != nil {
			return nil, fmt.Errorf("%s: %w", src.path, err)
		}
		if text, err = finish(out, text, in.Runtime); err != nil {
			return nil, fmt.Errorf("%s: %w", src.path, err)
		}
		tree = append(tree, File{Path: out, Data: text, Mode: mode(text), Owner: src.layer})
	}
	slices.SortFunc(tree, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if _, ok := tree.Find("go.mod"); !ok {
		return nil, fmt.Errorf("the templates of %s %s have no go.mod", in.Entry.Kind, in.Entry.System)
	}
	return tree, nil
}

// A source is the template of one file.
type source struct{ layer, path string }

// collect finds the template of every file, by its path in the repository. Layers come in order, later over earlier. Go code of the
// kind's layer belongs to the blank connector: a system brings its whole package, so none of it may be left over beside the system's.
func collect(templates fs.FS, e catalog.Entry) (map[string]source, error) {
	system := "systems/" + e.System + "/" + e.Kind
	layers := []string{"common", e.Kind}
	if e.System != catalog.Blank {
		layers = append(layers, system)
	}
	sources := map[string]source{}
	for _, layer := range layers {
		blankCode := layer == e.Kind && e.System != catalog.Blank
		err := fs.WalkDir(templates, layer, func(p string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && p == layer && layer != system {
				return nil // a layer without files; what the system needs is its own
			}
			if err != nil || d.IsDir() {
				return err
			}
			out, ok := strings.CutSuffix(strings.TrimPrefix(p, layer+"/"), Suffix)
			if !ok {
				return fmt.Errorf("%s: a template's name ends in %s", p, Suffix)
			}
			if blankCode && (path.Ext(out) == ".go" || strings.HasPrefix(out, "testdata/")) {
				return nil
			}
			sources[out] = source{layer: layer, path: p}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read templates: %w", err)
		}
	}
	return sources, nil
}

// field is the whole template language. Package text/template would take every pair of braces for its own, and they are part of Go's
// composite literals, of workflows, of release configurations and of dashboards.
var field = regexp.MustCompile(`\{\{\.([A-Za-z]+)\}\}`)

// substitute replaces each {{.Field}} and leaves all else as it is. A field that does not exist is an error.
func substitute(text []byte, fields map[string]string) ([]byte, error) {
	var unknown []string
	out := field.ReplaceAllFunc(text, func(match []byte) []byte {
		name := string(match[len("{{.") : len(match)-len("}}")])
		value, ok := fields[name]
		if !ok {
			unknown = append(unknown, name)
		}
		return []byte(value)
	})
	if len(unknown) > 0 {
		return nil, fmt.Errorf("no such field: {{.%s}}", strings.Join(unknown, "}}, {{."))
	}
	return out, nil
}

// finish does what depends on the kind of file. Go files are checked, never repaired: what you read in a template is what is
// written.
func finish(out string, text []byte, rt Runtime) ([]byte, error) {
	switch {
	case path.Ext(out) == ".go":
		formatted, err := format.Source(text)
		if err != nil {
			return nil, fmt.Errorf("rendered file is not Go: %w", err)
		}
		if !bytes.Equal(formatted, text) {
			return nil, fmt.Errorf("rendered file is not as gofmt writes it: line %d differs", firstDifference(formatted, text))
		}
		return text, nil
	case out == "go.mod":
		return rt.finishMod(text)
	case out == "go.sum":
		return rt.finishSum(text)
	default:
		return text, nil
	}
}

func firstDifference(a, b []byte) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			break
		}
		if a[i] == '\n' {
			n++
		}
	}
	return n + 1
}

// mode is executable for scripts, told by their first line, because an embedded tree keeps no modes.
func mode(text []byte) fs.FileMode {
	if bytes.HasPrefix(text, []byte("#!")) {
		return 0o755
	}
	return 0o644
}
