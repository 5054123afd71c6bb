package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/danube-messaging/danube-connect-go/internal/render"
)

// The stage inside a target: staged files, the old content of files that are replaced, and the journal. The journal is written last,
// before the first change outside of the stage, and removed first, after the last one.
const (
	newDir      = "new"
	oldDir      = "old"
	journalName = "journal.json"
)

// A journal is what must be undone when a run dies before its end.
type journal struct {
	Files []journalFile `json:"files"`
	Dirs  []string      `json:"dirs"` // directories to make, outermost first, relative to the target
}

type journalFile struct {
	Path     string `json:"path"`
	Replaced bool   `json:"replaced"` // its old content lies in the stage
	SHA256   string `json:"sha256"`   // of the new content
}

// applyInPlace writes into a directory that stays the directory it is.
func (p *Plan) applyInPlace(d disk) error {
	stage := filepath.Join(p.Dir, stageName)
	if err := d.mkdir(stage); err != nil {
		return err
	}
	err := p.prepare(d, stage)
	if err == nil {
		err = p.commit(d, stage)
	}
	if err != nil {
		return errors.Join(err, rollBack(d, p.Dir))
	}
	if err := d.remove(filepath.Join(stage, journalName)); err != nil {
		return errors.Join(err, rollBack(d, p.Dir))
	}
	d.discard(stage) // without a journal it is only rubbish, and the plan is carried out
	return nil
}

// prepare fills the stage; the target is as before when it returns.
func (p *Plan) prepare(d disk, stage string) error {
	var files render.Tree
	var j journal
	for i, a := range p.Actions {
		if a.Op != OpCreate && a.Op != OpOverwrite {
			continue
		}
		f := p.tree[i]
		files = append(files, f)
		j.Files = append(j.Files, journalFile{Path: f.Path, Replaced: a.Op == OpOverwrite, SHA256: digest(f.Data)})
		j.Dirs = append(j.Dirs, p.missingDirs(f.Path)...)
	}
	slices.Sort(j.Dirs) // a parent sorts before what is in it
	j.Dirs = slices.Compact(j.Dirs)

	if err := d.mkdir(filepath.Join(stage, newDir)); err != nil {
		return err
	}
	if err := stageFiles(d, files, filepath.Join(stage, newDir)); err != nil {
		return err
	}
	for _, f := range j.Files {
		if f.Replaced {
			if err := p.backUp(d, f.Path, stage); err != nil {
				return err
			}
		}
	}
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return fmt.Errorf("encode journal: %w", err)
	}
	// Written under another name first, so that a journal that is there is whole.
	draft := filepath.Join(stage, journalName+".new")
	if err := d.write(draft, text, 0o644); err != nil {
		return err
	}
	if err := d.rename(draft, filepath.Join(stage, journalName)); err != nil {
		return err
	}
	return d.sync(stage)
}

// missingDirs lists the parents of a file that are not there yet.
func (p *Plan) missingDirs(name string) []string {
	var missing []string
	for dir := filepath.Dir(filepath.FromSlash(name)); dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(p.Dir, dir)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, filepath.ToSlash(dir))
		}
	}
	return missing
}

// backUp copies a file that will be replaced into the stage, with its permissions.
func (p *Plan) backUp(d disk, name, stage string) error {
	from := filepath.Join(p.Dir, filepath.FromSlash(name))
	to := filepath.Join(stage, oldDir, filepath.FromSlash(name))
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if _, err := d.mkdirs(filepath.Dir(to)); err != nil {
		return err
	}
	return d.write(to, data, info.Mode())
}

// commit moves the staged files into place.
func (p *Plan) commit(d disk, stage string) error {
	dirs := map[string]bool{p.Dir: true}
	for i, a := range p.Actions {
		staged := filepath.Join(stage, newDir, filepath.FromSlash(a.Path))
		target := filepath.Join(p.Dir, filepath.FromSlash(p.tree[i].Path))
		var err error
		switch a.Op {
		case OpCreate:
			if _, err = d.mkdirs(filepath.Dir(target)); err == nil {
				err = d.place(staged, target)
			}
		case OpOverwrite:
			err = d.rename(staged, target)
		default:
			continue
		}
		if err != nil {
			return err
		}
		dirs[filepath.Dir(target)] = true
	}
	return syncAll(d, dirs)
}

// Recover undoes what a run that died left half done in dir, and reports whether there was anything. Only files with exactly the
// content that the dead run gave them are touched: new ones go, replaced ones get their old content back.
func Recover(dir string) (bool, error) {
	stage := filepath.Join(dir, stageName)
	if _, err := os.Lstat(stage); err != nil {
		return false, nil // nothing there, or nothing that could be read: writing will tell
	}
	if err := rollBack(disk{}, dir); err != nil {
		return true, fmt.Errorf("undo an unfinished run: %w", err)
	}
	return true, nil
}

func rollBack(d disk, dir string) error {
	stage := filepath.Join(dir, stageName)
	text, err := os.ReadFile(filepath.Join(stage, journalName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.removeAll(stage) // the dead run had not begun to move files, or had ended
	case err != nil:
		return err
	}
	var j journal
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(stage, journalName), err)
	}
	for _, f := range slices.Backward(j.Files) {
		if err := undo(d, dir, stage, f); err != nil {
			return err
		}
	}
	var dirs []string
	for _, name := range j.Dirs {
		dirs = append(dirs, filepath.Join(dir, filepath.FromSlash(name)))
	}
	if err := removeEmpty(d, dirs); err != nil {
		return err
	}
	return d.removeAll(stage)
}

func undo(d disk, dir, stage string, f journalFile) error {
	target := filepath.Join(dir, filepath.FromSlash(f.Path))
	data, err := os.ReadFile(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if digest(data) != f.SHA256 {
		return nil // not reached by the dead run, or edited since
	}
	if f.Replaced {
		return d.rename(filepath.Join(stage, oldDir, filepath.FromSlash(f.Path)), target)
	}
	return d.remove(target)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
