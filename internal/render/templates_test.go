package render_test

import (
	"bytes"
	"go/format"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/render"
	"github.com/danube-messaging/danube-connect-go/templates"
)

// eachTemplate calls check with every file that ends up in repositories.
func eachTemplate(t *testing.T, check func(t *testing.T, name string, text []byte)) {
	t.Helper()
	seen := 0
	err := fs.WalkDir(templates.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Base(p) == "system.toml" {
			return err
		}
		text, err := fs.ReadFile(templates.FS, p)
		if err != nil {
			return err
		}
		seen++
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			check(t, p, text)
		})
		return nil
	})
	require.NoError(t, err)
	require.Positive(t, seen)
}

// A template is itself Go as gofmt writes it, so that editors and reviewers see what will be written.
func TestGoTemplatesAreGo(t *testing.T) {
	t.Parallel()
	eachTemplate(t, func(t *testing.T, name string, text []byte) {
		if !strings.HasSuffix(name, ".go"+render.Suffix) {
			return
		}
		formatted, err := format.Source(text)
		require.NoError(t, err)
		if !bytes.Equal(formatted, text) {
			t.Errorf("gofmt would change it (-gofmt +template):\n%s", cmp.Diff(string(formatted), string(text)))
		}
	})
}

func TestTemplatesAreNamedAfterTheirOutput(t *testing.T) {
	t.Parallel()
	eachTemplate(t, func(t *testing.T, name string, text []byte) {
		require.True(t, strings.HasSuffix(name, render.Suffix), "the name must end in %s", render.Suffix)
		require.NotEmpty(t, text)
		require.False(t, bytes.Contains(text, []byte("\r")), "lines end in a line feed")
		require.True(t, bytes.HasSuffix(text, []byte("\n")), "the last line ends")
	})
}

// Names of any length leave the code formatted and the module file valid, in checkouts and in releases.
func TestEverySystemRenders(t *testing.T) {
	t.Parallel()
	cat, err := catalog.Load(templates.FS)
	require.NoError(t, err)
	runtimes := map[string]render.Runtime{
		"checkout": {Version: "v0.1.0", Replace: "/somewhere/else/runtime"},
		"release":  {Version: "v1.22.333", Sum: "h1:zip=", ModSum: "h1:mod="},
	}
	for _, e := range cat.All() {
		for how, rt := range runtimes {
			for _, module := range []string{"a.bc/d", "example.com/a-rather-long-organisation/a-rather-long-connector-name"} {
				t.Run(e.Kind+" "+e.System+" "+how+" "+module, func(t *testing.T) {
					t.Parallel()
					in := render.Input{Entry: e, Module: module, Topic: "/default/events", Runtime: rt}
					first, err := render.Render(templates.FS, in)
					require.NoError(t, err)
					again, err := render.Render(templates.FS, in)
					require.NoError(t, err)
					require.Equal(t, first, again, "the same answers give the same bytes")
					for _, f := range []string{
						"main.go", "config.go", e.Kind + ".go", "go.mod", "go.sum", "connector.toml", "connector.schema.json",
						"README.md", "Makefile", "LICENSE", ".gitignore", "AGENTS.md",
					} {
						_, ok := first.Find(f)
						require.True(t, ok, "%s is missing", f)
					}
				})
			}
		}
	}
}
