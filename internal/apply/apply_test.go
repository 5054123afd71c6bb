package apply

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/render"
)

func tree(files map[string]string) render.Tree {
	var t render.Tree
	for _, name := range sortedKeys(files) {
		t = append(t, render.File{Path: name, Data: []byte(files[name]), Mode: 0o644})
	}
	return t
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		i := 0
		for i < len(keys) && keys[i] < k {
			i++
		}
		keys = append(keys[:i], append([]string{k}, keys[i:]...)...)
	}
	return keys
}

var repository = map[string]string{
	".danube/answers.toml": "a = 1\n",
	"README.md":            "new readme\n",
	"deploy/k8s/app.yaml":  "kind: x\n",
	"main.go":              "package main\n",
}

// fill makes dir hold files; a name that ends in a slash is a directory.
func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			require.NoError(t, os.MkdirAll(full, 0o755))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, []byte(text), 0o644))
	}
}

// contents lists everything below dir: files with their text, directories with a slash. It is nil when dir is not there.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	if _, err := os.Lstat(dir); os.IsNotExist(err) {
		return nil
	}
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			out[rel+"/"] = ""
		case d.Type()&fs.ModeSymlink != 0:
			out[rel], err = os.Readlink(p)
		default:
			var text []byte
			text, err = os.ReadFile(p)
			out[rel] = string(text)
		}
		return err
	}))
	return out
}

// withDirs adds the directories that files lie in.
func withDirs(files map[string]string) map[string]string {
	out := map[string]string{}
	for name, text := range files {
		out[name] = text
		for dir := filepath.Dir(filepath.Clean(name)); dir != "."; dir = filepath.Dir(dir) {
			out[dir+"/"] = ""
		}
	}
	return out
}

func requireContents(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, contents(t, dir)); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", dir, diff)
	}
}

func write(t *testing.T, files map[string]string, dir string, policy Policy) error {
	t.Helper()
	plan, err := New(tree(files), dir, policy)
	if err != nil {
		return err
	}
	return plan.Apply()
}

func TestApplyMakesMissingParents(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, "a", "b")
	require.NoError(t, write(t, repository, dir, Refuse))
	requireContents(t, dir, withDirs(repository))
	require.Len(t, contents(t, filepath.Join(home, "a")), 1+len(contents(t, dir)), "nothing is left beside the target")
}

func TestApplyKeepsThePermissionsOfAnEmptyDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(dir, 0o700))
	require.NoError(t, write(t, repository, dir, Refuse))
	requireContents(t, dir, withDirs(repository))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
}

// The directory that the shell stands in stays the same directory.
func TestApplyToTheWorkingDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	before, err := os.Stat(dir)
	require.NoError(t, err)
	require.NoError(t, write(t, repository, ".", Refuse))
	requireContents(t, dir, withDirs(repository))
	after, err := os.Stat(dir)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
}

func TestConflictsAreAllListedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := map[string]string{"README.md": "mine\n", "main.go/": "", "deploy": "a file\n", "other.txt": "mine\n", ".danube/answers.toml": "a = 1\n"}
	fill(t, dir, mine)
	before := contents(t, dir)

	err := write(t, repository, dir, Refuse)
	var conflict *ConflictError
	require.ErrorAs(t, err, &conflict)
	want := []Conflict{
		{Path: "README.md", Why: "has other content"},
		{Path: "deploy/k8s/app.yaml", Why: "deploy is a file", Hard: true},
		{Path: "main.go", Why: "is a directory", Hard: true},
	}
	if diff := cmp.Diff(want, conflict.Conflicts); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
	require.True(t, conflict.Hard())
	requireContents(t, dir, before)

	require.ErrorAs(t, write(t, repository, dir, Overwrite), &conflict)
	require.Len(t, conflict.Conflicts, 2, "overwriting cannot replace a directory")
	requireContents(t, dir, before)
}

func TestOverwriteReplacesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir, map[string]string{"README.md": "mine\n", "other.txt": "mine\n", "main.go": "package main\n"})
	plan, err := New(tree(repository), dir, Overwrite)
	require.NoError(t, err)
	require.Equal(t, 1, plan.Count(OpOverwrite))
	require.Equal(t, 1, plan.Count(OpSame))
	require.Equal(t, 2, plan.Count(OpCreate))
	require.NoError(t, plan.Apply())
	want := withDirs(repository)
	want["other.txt"] = "mine\n"
	requireContents(t, dir, want)
}

func TestKeepLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir, map[string]string{"README.md": "mine\n", "deploy": "a file\n"})
	require.NoError(t, write(t, repository, dir, Keep))
	requireContents(t, dir, withDirs(map[string]string{
		".danube/answers.toml": "a = 1\n", "README.md": "mine\n", "deploy": "a file\n", "main.go": "package main\n",
	}))
}

func TestSameFilesAreNoConflict(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, write(t, repository, dir, Refuse))
	plan, err := New(tree(repository), dir, Refuse)
	require.NoError(t, err)
	require.Equal(t, len(repository), plan.Count(OpSame))
	require.NoError(t, plan.Apply())
	requireContents(t, dir, withDirs(repository))
}

// Through a link the command would write outside the repository.
func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir, outside := filepath.Join(home, "out"), filepath.Join(home, "outside")
	fill(t, home, map[string]string{"out/": "", "outside/k8s/": ""})
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "deploy")))
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(dir, "main.go")))
	var conflict *ConflictError
	require.ErrorAs(t, write(t, repository, dir, Overwrite), &conflict)
	require.Equal(t, []Conflict{
		{Path: "deploy/k8s/app.yaml", Why: "deploy is a symbolic link", Hard: true},
		{Path: "main.go", Why: "is a symbolic link", Hard: true},
	}, conflict.Conflicts)
	requireContents(t, outside, map[string]string{"k8s/": ""})
}

// A file that appears between plan and writing is not overwritten.
func TestAFileThatAppearsMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir, map[string]string{"other.txt": "mine\n"})
	plan, err := New(tree(repository), dir, Refuse)
	require.NoError(t, err)
	fill(t, dir, map[string]string{"main.go": "appeared\n"})
	require.ErrorIs(t, plan.Apply(), fs.ErrExist)
	requireContents(t, dir, map[string]string{"other.txt": "mine\n", "main.go": "appeared\n"})
}

func TestUnwritablePlaces(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	fill(t, home, map[string]string{"file": "x"})
	require.Error(t, write(t, repository, filepath.Join(home, "file"), Refuse))
	require.Error(t, write(t, repository, filepath.Join(home, "file", "below"), Refuse))
	requireContents(t, home, map[string]string{"file": "x"})
}
