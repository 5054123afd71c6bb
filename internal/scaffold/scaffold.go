// Package scaffold turns answers into a whole repository: what the templates give, and the record of how it was made.
package scaffold

import (
	"fmt"
	"io/fs"

	"github.com/danube-messaging/danube-connect-go/internal/apply"
	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/question"
	"github.com/danube-messaging/danube-connect-go/internal/render"
)

// What a generator built from a checkout says of itself. Both are constants, so that every checkout gives the same bytes.
const (
	// DevelVersion is its version.
	DevelVersion = "devel"
	// NextRuntime is the runtime version that its repositories require: the one that will be released next.
	NextRuntime = "v0.1.0"
)

// A Generator makes repositories.
type Generator struct {
	Templates fs.FS
	Catalog   *catalog.Catalog
	Version   string // recorded in each repository
}

// New loads the catalogue of templates.
func New(templates fs.FS, version string) (*Generator, error) {
	cat, err := catalog.Load(templates)
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	return &Generator{Templates: templates, Catalog: cat, Version: version}, nil
}

// Questions lists what must be known about a new repository.
func (g *Generator) Questions() []question.Question { return question.Registry(g.Catalog) }

// Tree gives the repository for complete answers: see [question.Complete].
func (g *Generator) Tree(a question.Answers, rt render.Runtime) (render.Tree, error) {
	entry, err := g.Catalog.Find(a[question.Kind], a[question.System])
	if err != nil {
		return nil, err
	}
	tree, err := render.Render(g.Templates, render.Input{
		Entry: entry, Module: a[question.Module], Topic: a[question.Topic], Runtime: rt,
	})
	if err != nil {
		return nil, fmt.Errorf("render %s %s: %w", entry.Kind, entry.System, err)
	}
	record, err := question.EncodeFile(g.Catalog, question.File{
		Generator: g.Version, RuntimeVersion: rt.Version, RuntimeReplace: rt.Replace, Answers: a,
	})
	if err != nil {
		return nil, err
	}
	return apply.WithRecord(tree, record)
}
