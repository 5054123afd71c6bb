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
	"slices"
	"strings"
	"text/template"

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

// Data is what templates see: one flat struct, so that they substitute and never compute.
type Data struct {
	Kind           string // sink or source
	System         string // http, mongodb, … or blank
	Title          string // the system's name in prose
	Module         string // module path
	Name           string // last element of the module path: binary and connector_name
	Topic          string // /namespace/name
	Subscription   string // the same as Name
	RuntimeVersion string // v0.1.0
}

func (in Input) data() Data {
	name := question.Name(in.Module)
	return Data{
		Kind: in.Entry.Kind, System: in.Entry.System, Title: in.Entry.Title,
		Module: in.Module, Name: name, Topic: in.Topic, Subscription: name,
		RuntimeVersion: in.Runtime.Version,
	}
}

// Render gives the files of the repository that in describes. templates holds the layers: see package templates.
func Render(templates fs.FS, in Input) (Tree, error) {
	sources, err := collect(templates, in.Entry)
	if err != nil {
		return nil, err
	}
	data := in.data()
	tree := make(Tree, 0, len(sources))
	for out, src := range sources {
		text, err := execute(templates, src.path, data)
		if err != nil {
			return nil, err
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

func execute(templates fs.FS, name string, data Data) ([]byte, error) {
	text, err := fs.ReadFile(templates, name)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(text, []byte("{{")) {
		return text, nil
	}
	t, err := template.New(name).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("parse template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("render template: %w", err)
	}
	return b.Bytes(), nil
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
