package render_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/render"
)

const goMod = "module {{.Module}}\n\ngo 1.26.0\n\nrequire " + render.RuntimeModule + " {{.RuntimeVersion}}\n"

func layers(texts map[string]string) fstest.MapFS {
	m := fstest.MapFS{"common/go.mod.tmpl": {Data: []byte(goMod)}}
	for name, text := range texts {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func input() render.Input {
	return render.Input{
		Entry:  catalog.Entry{Kind: "sink", System: "http", Title: "HTTP"},
		Module: "example.com/acme/hook/v2", Topic: "/default/events",
		Runtime: render.Runtime{Version: "v0.1.0", Replace: "../runtime"},
	}
}

func blank() render.Input {
	in := input()
	in.Entry.System = catalog.Blank
	return in
}

// rendered gives the text of each file.
func rendered(t *testing.T, templates fs.FS, in render.Input) map[string]string {
	t.Helper()
	tree, err := render.Render(templates, in)
	require.NoError(t, err)
	out := map[string]string{}
	for _, f := range tree {
		out[f.Path] = string(f.Data)
	}
	return out
}

func TestLaterLayersWinPathByPath(t *testing.T) {
	t.Parallel()
	templates := layers(map[string]string{
		"common/a.txt.tmpl":               "common",
		"common/b.txt.tmpl":               "common",
		"common/c.txt.tmpl":               "common",
		"sink/b.txt.tmpl":                 "sink",
		"sink/c.txt.tmpl":                 "sink",
		"source/a.txt.tmpl":               "source",
		"systems/http/sink/c.txt.tmpl":    "http",
		"systems/http/sink/sub/.dot.tmpl": "http",
		"systems/other/sink/a.txt.tmpl":   "other",
	})
	got := rendered(t, templates, input())
	delete(got, "go.mod")
	want := map[string]string{"a.txt": "common", "b.txt": "sink", "c.txt": "http", "sub/.dot": "http"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sink http (-want +got):\n%s", diff)
	}

	got = rendered(t, templates, blank())
	delete(got, "go.mod")
	want = map[string]string{"a.txt": "common", "b.txt": "sink", "c.txt": "sink"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sink blank (-want +got):\n%s", diff)
	}
}

// A system brings its whole Go package: no file of the blank connector may be left over beside it.
func TestBlankCodeStaysOutOfSystems(t *testing.T) {
	t.Parallel()
	templates := layers(map[string]string{
		"sink/lines.go.tmpl":             "package main\n",
		"sink/testdata/lines.json.tmpl":  "{}",
		"sink/deploy.yaml.tmpl":          "kind: x\n",
		"systems/http/sink/sink.go.tmpl": "package main\n",
	})
	require.NotContains(t, rendered(t, templates, input()), "lines.go")
	require.NotContains(t, rendered(t, templates, input()), "testdata/lines.json")
	require.Contains(t, rendered(t, templates, input()), "deploy.yaml")
	require.Contains(t, rendered(t, templates, blank()), "lines.go")
}

func TestFieldsAreSubstitutedAndOtherBracesKept(t *testing.T) {
	t.Parallel()
	got := rendered(t, layers(map[string]string{
		"sink/all.txt.tmpl": "{{.Kind}} {{.System}} {{.Title}} {{.Module}} {{.Name}} {{.Topic}} {{.Subscription}} {{.RuntimeVersion}}",
		"sink/ci.yml.tmpl":  "token: ${{ secrets.TOKEN }} {{ .Version }} {{topic}} {{",
	}), blank())
	require.Equal(t, "sink blank HTTP example.com/acme/hook/v2 hook /default/events hook v0.1.0", got["all.txt"])
	require.Equal(t, "token: ${{ secrets.TOKEN }} {{ .Version }} {{topic}} {{", got["ci.yml"])
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ path, text, want string }{
		"unknown field":         {"sink/a.txt.tmpl", "{{.Nam}}", "sink/a.txt.tmpl: no such field: {{.Nam}}"},
		"name without suffix":   {"sink/a.txt", "x", "sink/a.txt: a template's name ends in .tmpl"},
		"unformatted Go":        {"sink/a.go.tmpl", "package main\n\nvar  x = 1\n", "sink/a.go.tmpl: rendered file is not as gofmt writes it: line 3"},
		"no Go":                 {"sink/a.go.tmpl", "package\n", "rendered file is not Go"},
		"go.mod with a replace": {"sink/go.mod.tmpl", goMod + "\nreplace x.y/z => ../z\n", "no replace directive"},
		"go.mod without us":     {"sink/go.mod.tmpl", "module m.x/y\n", "go.mod does not require " + render.RuntimeModule},
		"go.mod, fixed version": {"sink/go.mod.tmpl", "module m.x/y\nrequire " + render.RuntimeModule + " v0.0.9\n", "does not require"},
		"go.sum with our lines": {"sink/go.sum.tmpl", render.RuntimeModule + " v0.1.0 h1:x=\n", "no line of the runtime"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := render.Render(layers(map[string]string{tt.path: tt.text}), blank())
			require.ErrorContains(t, err, tt.want)
		})
	}
	t.Run("no templates of the system", func(t *testing.T) {
		t.Parallel()
		_, err := render.Render(layers(nil), input())
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func TestCheckoutReplacesTheRuntime(t *testing.T) {
	t.Parallel()
	got := rendered(t, layers(map[string]string{"common/go.sum.tmpl": "a.b/c v1.0.0 h1:x=\n"}), blank())
	require.Equal(t, `module example.com/acme/hook/v2

go 1.26.0

require github.com/danube-messaging/danube-connect-go/runtime v0.1.0

// Written by a danube-connect-gen that was built from a checkout: the runtime comes from there. Delete the line to use
// the released runtime, then run `+"`go mod tidy`"+`.
replace github.com/danube-messaging/danube-connect-go/runtime => ../runtime
`, got["go.mod"])
	require.Equal(t, "a.b/c v1.0.0 h1:x=\n", got["go.sum"])
}

func TestReleaseAddsTheRuntimesSums(t *testing.T) {
	t.Parallel()
	in := blank()
	in.Runtime = render.Runtime{Version: "v0.2.0", Sum: "h1:zip=", ModSum: "h1:mod="}
	got := rendered(t, layers(map[string]string{
		"common/go.sum.tmpl": "github.com/a/b v1.0.0 h1:x=\ngithub.com/z/z v1.0.0/go.mod h1:y=\n",
	}), in)
	require.Equal(t, `github.com/a/b v1.0.0 h1:x=
github.com/danube-messaging/danube-connect-go/runtime v0.2.0 h1:zip=
github.com/danube-messaging/danube-connect-go/runtime v0.2.0/go.mod h1:mod=
github.com/z/z v1.0.0/go.mod h1:y=
`, got["go.sum"])
	require.NotContains(t, got["go.mod"], "replace")
	require.Contains(t, got["go.mod"], "runtime v0.2.0\n")
}

func TestRuntimeWithoutSumsIsRefused(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, render.Runtime{Version: "v0.1.0"}.Check(), "no checksums of the runtime are known")
	require.ErrorContains(t, render.Runtime{Version: "main", Replace: "."}.Check(), "not a version")
	require.NoError(t, render.Runtime{Version: "v0.1.0", Replace: "."}.Check())
	in := blank()
	in.Runtime = render.Runtime{Version: "v0.1.0"}
	_, err := render.Render(layers(nil), in)
	require.ErrorContains(t, err, "no checksums")
}

func TestScriptsAreExecutable(t *testing.T) {
	t.Parallel()
	tree, err := render.Render(layers(map[string]string{"sink/run.tmpl": "#!/bin/sh\n", "sink/txt.tmpl": "x"}), blank())
	require.NoError(t, err)
	script, ok := tree.Find("run")
	require.True(t, ok)
	require.Equal(t, fs.FileMode(0o755), script.Mode)
	plain, ok := tree.Find("txt")
	require.True(t, ok)
	require.Equal(t, fs.FileMode(0o644), plain.Mode)
	_, ok = tree.Find("nothing")
	require.False(t, ok)
}
