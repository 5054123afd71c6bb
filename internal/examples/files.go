package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/danube-messaging/danube-connect-go/internal/apply"
	"github.com/danube-messaging/danube-connect-go/internal/render"
	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
)

// renderAll gives every example by its name.
func renderAll(templates fs.FS) (map[string]render.Tree, error) {
	gen, err := scaffold.New(templates, scaffold.DevelVersion)
	if err != nil {
		return nil, err
	}
	trees := map[string]render.Tree{}
	for _, e := range examples {
		if trees[e.name()], err = gen.Tree(e.answers(), exampleRuntime()); err != nil {
			return nil, err
		}
	}
	return trees, nil
}

// checkAll names every missing, extra and different file.
func checkAll(out io.Writer, root string, trees map[string]render.Tree) error {
	wrong := 0
	tell := func(format string, args ...any) {
		wrong++
		fmt.Fprintf(out, format+"\n", args...)
	}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		for _, f := range trees[name] {
			path := filepath.Join(examplesDir, name, filepath.FromSlash(f.Path))
			have, err := os.ReadFile(filepath.Join(root, path))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				tell("missing:   %s", path)
			case err != nil:
				return err
			case !bytes.Equal(have, f.Data):
				tell("different: %s, %s", path, difference(have, f.Data))
			}
		}
	}
	extra, err := extraFiles(root, trees)
	if err != nil {
		return err
	}
	for _, path := range extra {
		tell("extra:     %s", path)
	}
	if wrong > 0 {
		return fmt.Errorf("%d files of %s are not what the templates give; run `make generate` and commit what it changes", wrong, examplesDir)
	}
	fmt.Fprintf(out, "%s: all %d are what the templates give\n", examplesDir, len(trees))
	return nil
}

// difference says where two files begin to differ.
func difference(have, want []byte) string {
	at := 0
	for at < min(len(have), len(want)) && have[at] == want[at] {
		at++
	}
	return fmt.Sprintf("from byte %d in line %d: %d bytes, want %d", at, 1+bytes.Count(have[:at], []byte("\n")), len(have), len(want))
}

// extraFiles lists what is in the examples' directory and comes from no template. What git ignores there does not count.
func extraFiles(root string, trees map[string]render.Tree) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", examplesDir)
	cmd.Dir = root
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list %s with git: %w", examplesDir, err)
	}
	var extra []string
	for path := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		name, file, _ := strings.Cut(strings.TrimPrefix(path, examplesDir+"/"), "/")
		_, known := trees[name].Find(file)
		_, err := os.Lstat(filepath.Join(root, path))
		if path != "" && !known && err == nil { // an index may still list what was deleted
			extra = append(extra, path)
		}
	}
	slices.Sort(extra)
	return slices.Compact(extra), nil
}

// writeAll makes the examples what the templates give: files that no template gives any more are removed.
func writeAll(out io.Writer, root string, trees map[string]render.Tree) error {
	extra, err := extraFiles(root, trees)
	if err != nil {
		return err
	}
	for _, path := range extra {
		fmt.Fprintf(out, "removed %s\n", path)
		if err := os.Remove(filepath.Join(root, path)); err != nil {
			return fmt.Errorf("remove what no template gives: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		dir := filepath.Join(root, examplesDir, name)
		plan, err := apply.New(trees[name], dir, apply.Overwrite)
		if err != nil {
			return fmt.Errorf("write %s: %w", dir, err)
		}
		if err := plan.Apply(); err != nil {
			return fmt.Errorf("write %s: %w", dir, err)
		}
		fmt.Fprintf(out, "%s: %d files, %d new, %d changed\n", filepath.Join(examplesDir, name), len(trees[name]),
			plan.Count(apply.OpCreate), plan.Count(apply.OpOverwrite))
	}
	return nil
}
