package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/render"
)

func trees() map[string]render.Tree {
	return map[string]render.Tree{"sink-x": {
		{Path: "README.md", Data: []byte("one\ntwo\n"), Mode: 0o644},
		{Path: "sub/main.go", Data: []byte("package main\n"), Mode: 0o644},
	}}
}

// checkout makes a git repository, because git says which files count.
func checkout(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	_, err := command(root, "git", "init", "--quiet")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, ".gitignore"), []byte("bin/\n"), 0o644))
	return root
}

func TestCheckNamesEveryFileThatIsWrong(t *testing.T) {
	t.Parallel()
	root := checkout(t)
	var out bytes.Buffer
	require.ErrorContains(t, checkAll(&out, root, trees()), "2 files of generated-examples are not what the templates give")
	require.Equal(t, "missing:   generated-examples/sink-x/README.md\nmissing:   generated-examples/sink-x/sub/main.go\n", out.String())

	require.NoError(t, writeAll(&out, root, trees()))
	require.NoError(t, checkAll(&out, root, trees()))

	dir := filepath.Join(root, examplesDir)
	for name, text := range map[string]string{
		"sink-x/README.md": "one\ntwx\n", "sink-x/more.go": "x", "old/main.go": "x", "sink-x/bin/ignored": "x",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	out.Reset()
	require.ErrorContains(t, checkAll(&out, root, trees()), "3 files")
	require.Equal(t, "different: generated-examples/sink-x/README.md, from byte 6 in line 2: 8 bytes, want 8\n"+
		"extra:     generated-examples/old/main.go\nextra:     generated-examples/sink-x/more.go\n", out.String())

	require.NoError(t, writeAll(&out, root, trees()))
	require.NoError(t, checkAll(&out, root, trees()))
	require.FileExists(t, filepath.Join(dir, "sink-x/bin/ignored"), "what git ignores is left alone")
	require.NoFileExists(t, filepath.Join(dir, "sink-x/more.go"))
}

func TestModTemplateTurnsAModuleFileBack(t *testing.T) {
	t.Parallel()
	template := "module example.com/x\n\ngo 1.26.0\n\nrequire " + render.RuntimeModule + " {{.RuntimeVersion}}\n"
	got, err := modTemplate([]byte("module example.com/x\n\ngo 1.26.0\n\nrequire " + render.RuntimeModule + " v0.1.0\n\n" +
		"// A comment.\nreplace " + render.RuntimeModule + " => ../runtime\n"))
	require.NoError(t, err)
	require.Equal(t, template, string(got))
}

func TestSampleTemplateNamesTheFields(t *testing.T) {
	t.Parallel()
	got := sampleTemplate([]byte("connector_name = \"x\"\n# source_topic = \"kept\"\nsource_topic = \"/a/b\"\ndestination_topic = \"/a/b\"\n"))
	require.Equal(t, "connector_name = \"{{.Name}}\"\n# source_topic = \"kept\"\nsource_topic = \"{{.Topic}}\"\ndestination_topic = \"{{.Topic}}\"\n", string(got))
}
