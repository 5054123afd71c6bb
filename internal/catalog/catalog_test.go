package catalog_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/templates"
)

const httpToml = `title = "HTTP"
[kinds.sink]
summary = "Posts."
ports = [80]
[kinds.source]
summary = "Receives."
`

func files(texts map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range texts {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func load(t *testing.T, texts map[string]string) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Load(files(texts))
	require.NoError(t, err)
	return cat
}

func TestLoadOrdersByKindAndPutsBlankLast(t *testing.T) {
	t.Parallel()
	cat := load(t, map[string]string{
		"sink/main.go.tmpl":          "",
		"systems/http/system.toml":   httpToml,
		"systems/amqp/system.toml":   "title = \"AMQP\"\n[kinds.sink]\nsummary = \"x\"\n",
		"systems/zipper/system.toml": "title = \"Z\"\n[kinds.source]\nsummary = \"x\"\n",
	})
	var got []string
	for _, e := range cat.All() {
		got = append(got, e.Kind+" "+e.System)
	}
	require.Equal(t, []string{"sink amqp", "sink http", "sink blank", "source http", "source zipper"}, got)

	entry, err := cat.Find("sink", "http")
	require.NoError(t, err)
	want := catalog.Entry{Kind: "sink", System: "http", Title: "HTTP", Summary: "Posts.", Ports: []int{80}}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Errorf("Find(sink, http) (-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"unknown key":     {"titel = \"x\"\n" + httpToml, "unknown key titel"},
		"no title":        {"[kinds.sink]\nsummary = \"x\"\n", "title and at least one"},
		"no kind":         {"title = \"x\"\n", "title and at least one"},
		"unknown kind":    {"title = \"x\"\n[kinds.pipe]\nsummary = \"x\"\n", "kinds.pipe: not a kind; the kinds are sink, source"},
		"no summary":      {"title = \"x\"\n[kinds.sink]\n", "kinds.sink: summary is missing"},
		"not TOML at all": {"title", "systems/http/system.toml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalog.Load(files(map[string]string{"systems/http/system.toml": tt.text}))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestFindNamesTheNearest(t *testing.T) {
	t.Parallel()
	cat := load(t, map[string]string{
		"systems/http/system.toml":    httpToml,
		"systems/mongodb/system.toml": "title = \"MongoDB\"\n[kinds.sink]\nsummary = \"x\"\n",
	})
	tests := map[string]struct{ kind, system, want string }{
		"letter missing":  {"sink", "htp", "did you mean http?"},
		"letters swapped": {"sink", "mognodb", "did you mean mongodb?"},
		"short form":      {"sink", "mongo", "did you mean mongodb?"},
		"upper case":      {"sink", "HTTP", "did you mean http?"},
		"nothing near":    {"sink", "kafka", "choose one of http, mongodb"},
		"other kind":      {"source", "mongodb", "mongodb exists as a sink; sources are: http"},
		"wrong kind":      {"snik", "http", "did you mean sink?"},
		"kind in plural":  {"sources", "http", "did you mean source?"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := cat.Find(tt.kind, tt.system)
			var unknown *catalog.UnknownError
			require.ErrorAs(t, err, &unknown)
			require.Equal(t, tt.want, unknown.Suggestion())
		})
	}
}

// Every system that the command offers has templates for each of its kinds.
func TestEmbeddedSystemsHaveTemplates(t *testing.T) {
	t.Parallel()
	cat, err := catalog.Load(templates.FS)
	require.NoError(t, err)
	require.NotEmpty(t, cat.All())
	for _, e := range cat.All() {
		dir := "systems/" + e.System + "/" + e.Kind
		if e.System == catalog.Blank {
			dir = e.Kind
		}
		entries, err := fs.ReadDir(templates.FS, dir)
		require.NoErrorf(t, err, "%s %s", e.Kind, e.System)
		require.NotEmptyf(t, entries, "%s %s", e.Kind, e.System)
	}
}
