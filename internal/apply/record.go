package apply

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/danube-messaging/danube-connect-go/internal/render"
)

// Where a repository keeps how it was made.
const (
	AnswersPath = ".danube/answers.toml"
	BasePath    = ".danube/base.tar"
)

// recordOwner is the owner of both files: they belong to the command, not to a layer of templates.
const recordOwner = "record"

// WithRecord adds to tree how it was made: the answers, and a snapshot of the tree itself, from which a later three-way merge
// starts.
//
// The snapshot is one tar file and not a directory. A directory would hold a second go.mod, which the go command and editors take
// for a nested module, and every search would find each file twice. Tar keeps each file's exact bytes (a text archive adds a final
// newline and breaks binary files) and its executable bit; a merge reads it entry by entry into `git hash-object -w` and
// `git update-index`. It is not compressed, because a compressor's output may change from one Go version to the next, and git
// compresses it anyway.
func WithRecord(tree render.Tree, answers []byte) (render.Tree, error) {
	base, err := pack(tree)
	if err != nil {
		return nil, fmt.Errorf("pack base snapshot: %w", err)
	}
	out := append(slices.Clone(tree),
		render.File{Path: AnswersPath, Data: answers, Mode: 0o644, Owner: recordOwner},
		render.File{Path: BasePath, Data: base, Mode: 0o644, Owner: recordOwner},
	)
	slices.SortFunc(out, func(a, b render.File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// trailer is the number of zero bytes that end a tar file.
const trailer = 1024

// pack writes a tree as a tar file without times, owners or anything else that differs between machines.
func pack(tree render.Tree) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range tree {
		h := &tar.Header{Name: f.Path, Mode: int64(f.Mode.Perm()), Size: int64(len(f.Data)), Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// ReadBase reads the snapshot that [WithRecord] made. The files' owners are not in it.
func ReadBase(data []byte) (render.Tree, error) {
	if !bytes.HasSuffix(data, make([]byte, trailer)) {
		return nil, errors.New("read base snapshot: its end is missing") // the tar reader may take a cut for the end
	}
	var tree render.Tree
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return tree, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read base snapshot: %w", err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("read base snapshot: %s: %w", h.Name, err)
		}
		tree = append(tree, render.File{Path: h.Name, Data: text, Mode: fs.FileMode(h.Mode)})
	}
}
