package render

import (
	"io/fs"
	"slices"
	"strings"
)

// A File is one file of a repository.
type File struct {
	Path  string      // slash-separated, relative to the repository
	Data  []byte      // content
	Mode  fs.FileMode // 0o644, or 0o755 for a script
	Owner string      // the layer that it comes from, such as "common" or "systems/http/sink"
}

// A Tree is the files of a repository, sorted by path.
type Tree []File

// Find gives the file at path.
func (t Tree) Find(path string) (File, bool) {
	i, ok := slices.BinarySearchFunc(t, path, func(f File, p string) int { return strings.Compare(f.Path, p) })
	if !ok {
		return File{}, false
	}
	return t[i], true
}

// Size is the number of bytes in all files.
func (t Tree) Size() int {
	n := 0
	for _, f := range t {
		n += len(f.Data)
	}
	return n
}
