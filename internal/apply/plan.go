// Package apply brings the files of a repository to disk, and is the only code of the command that writes. Writing is all or
// nothing: files are staged on the same file system, flushed, and renamed into place. Nothing is ever deleted but what an unfinished
// run of the command itself left behind.
package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/danube-messaging/danube-connect-go/internal/render"
)

// A Policy says what happens to files that are there already with other content.
type Policy int

// The policies.
const (
	Refuse    Policy = iota // report them all and write nothing
	Overwrite               // replace their content
	Keep                    // leave them as they are
)

// An Op is what a plan does with one file.
type Op string

// The operations.
const (
	OpCreate    Op = "create"
	OpOverwrite Op = "overwrite"
	OpKeep      Op = "keep" // there with other content, left alone
	OpSame      Op = "same" // there with the same content
)

// An Action is one file of a plan.
type Action struct {
	Path string `json:"path"`
	Op   Op     `json:"op"`
	Size int    `json:"size"` // bytes of the new content
}

// A Plan is what writing a tree to a directory will do.
type Plan struct {
	Dir     string   // absolute
	Actions []Action // sorted by path

	tree  render.Tree
	state dirState
}

// Count is the number of files with one of the operations.
func (p *Plan) Count(ops ...Op) int {
	n := 0
	for _, a := range p.Actions {
		for _, op := range ops {
			if a.Op == op {
				n++
			}
		}
	}
	return n
}

// A ConflictError lists every file that stands in the way of a tree.
type ConflictError struct {
	Dir       string
	Conflicts []Conflict
}

// A Conflict is one such file.
type Conflict struct {
	Path string // relative to the directory
	Why  string // what is there
	// Hard conflicts remain under [Overwrite]: what is there is not a file.
	Hard bool
}

func (e *ConflictError) Error() string {
	if len(e.Conflicts) == 1 {
		return "not empty: 1 file is in the way"
	}
	return fmt.Sprintf("not empty: %d files are in the way", len(e.Conflicts))
}

// Hard tells whether one of the conflicts is not a plain file, so that overwriting cannot solve it.
func (e *ConflictError) Hard() bool {
	for _, c := range e.Conflicts {
		if c.Hard {
			return true
		}
	}
	return false
}

type dirState int

const (
	dirAbsent dirState = iota
	dirEmpty
	dirFilled
)

// New compares tree with what is in dir and writes nothing, except that it first undoes what a run that died left half done there
// (see [Recover]). Under [Refuse] files with other content give a [*ConflictError] with all of them; under [Overwrite] only what is
// not a plain file does.
func New(tree render.Tree, dir string, policy Policy) (*Plan, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", dir, err)
	}
	if _, err := Recover(abs); err != nil {
		return nil, err
	}
	p := &Plan{Dir: abs, tree: tree}
	if p.state, err = stateOf(abs); err != nil {
		return nil, err
	}
	conflicts := &ConflictError{Dir: dir}
	for _, f := range tree {
		op, conflict, err := p.compare(f, policy)
		switch {
		case err != nil:
			return nil, err
		case conflict != nil:
			conflicts.Conflicts = append(conflicts.Conflicts, *conflict)
		default:
			p.Actions = append(p.Actions, Action{Path: f.Path, Op: op, Size: len(f.Data)})
		}
	}
	if len(conflicts.Conflicts) > 0 {
		return nil, conflicts
	}
	return p, nil
}

func stateOf(dir string) (dirState, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dirAbsent, nil
	case err != nil:
		return 0, err
	case len(entries) == 0:
		return dirEmpty, nil
	default:
		return dirFilled, nil
	}
}

// compare tells what to do with one file.
func (p *Plan) compare(f render.File, policy Policy) (Op, *Conflict, error) {
	obstacle, err := p.obstacle(f.Path)
	if err != nil {
		return "", nil, err
	}
	if obstacle != "" {
		if policy == Keep {
			return OpKeep, nil, nil
		}
		return "", &Conflict{Path: f.Path, Why: obstacle, Hard: true}, nil
	}
	old, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(f.Path)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return OpCreate, nil, nil
	case err != nil:
		return "", nil, err
	case bytes.Equal(old, f.Data):
		return OpSame, nil, nil
	case policy == Overwrite:
		return OpOverwrite, nil, nil
	case policy == Keep:
		return OpKeep, nil, nil
	default:
		return "", &Conflict{Path: f.Path, Why: "has other content"}, nil
	}
}

// obstacle says what stands at a file's path that is not a plain file, or at one of its parents that is not a directory. A symbolic
// link counts: through it the command would write outside the repository.
func (p *Plan) obstacle(name string) (string, error) {
	parts := strings.Split(name, "/")
	for i := range parts {
		part := path.Join(parts[:i+1]...)
		info, err := os.Lstat(filepath.Join(p.Dir, filepath.FromSlash(part)))
		last := i == len(parts)-1
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", nil
		case err != nil:
			return "", err
		case last && info.Mode().IsRegular(), !last && info.IsDir():
		case last:
			return "is " + describe(info), nil
		default:
			return part + " is " + describe(info), nil
		}
	}
	return "", nil
}

func describe(info fs.FileInfo) string {
	switch {
	case info.IsDir():
		return "a directory"
	case info.Mode()&fs.ModeSymlink != 0:
		return "a symbolic link"
	case info.Mode().IsRegular():
		return "a file"
	default:
		return "a special file"
	}
}
