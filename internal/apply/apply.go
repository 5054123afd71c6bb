package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/danube-messaging/danube-connect-go/internal/render"
)

// stageName is the directory in which files wait to be renamed: beside a target that does not exist yet, else inside it, where it is
// sure to be on the same file system.
const stageName = ".danube-stage"

// Apply writes what the plan says, or nothing. A target that does not exist, or is an empty directory, appears whole by one rename.
// A directory with files in it gets the new ones one by one; when that fails half-way they are taken back at once, and when the
// process dies half-way the next run takes them back (see [Recover]).
func (p *Plan) Apply() error { return p.apply(disk{}) }

func (p *Plan) apply(d disk) error {
	if p.Count(OpCreate, OpOverwrite) == 0 {
		return nil
	}
	if p.state != dirFilled && !p.isWorkingDirectory() {
		return p.applyWhole(d)
	}
	return p.applyInPlace(d)
}

// isWorkingDirectory tells whether the target is where the user's shell most likely is. To replace that directory, even by one of
// the same name, would leave the shell in a deleted one.
func (p *Plan) isWorkingDirectory() bool {
	target, err := os.Stat(p.Dir)
	if err != nil {
		return false
	}
	wd, err := os.Stat(".")
	return err == nil && os.SameFile(target, wd)
}

// applyWhole stages the tree beside the target and renames it into place as one directory.
func (p *Plan) applyWhole(d disk) (err error) {
	parent := filepath.Dir(p.Dir)
	made, err := d.mkdirs(parent)
	defer func() {
		if err != nil {
			err = errors.Join(err, removeEmpty(d, made))
		}
	}()
	if err != nil {
		return err
	}
	stage := wholeStage(p.Dir)
	if err := d.removeAll(stage); err != nil { // left by a run that died
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.removeAll(stage))
		}
	}()
	if err := d.mkdir(stage); err != nil {
		return err
	}
	if err := stageFiles(d, p.tree, stage); err != nil {
		return err
	}
	if p.state == dirEmpty {
		if done, err := p.giveWay(d, stage); !done {
			return err
		}
	}
	if err := d.rename(stage, p.Dir); err != nil {
		return errors.Join(err, p.comeBack(d))
	}
	if err := d.sync(parent); err != nil {
		return errors.Join(err, d.rename(p.Dir, stage), p.comeBack(d))
	}
	return nil
}

func wholeStage(dir string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+stageName)
}

// giveWay removes the empty target so that the stage can take its place, with the same permissions. It reports false when the
// target cannot go, for example because something is mounted there; the plan was then carried out in place, with the error that it
// returns.
func (p *Plan) giveWay(d disk, stage string) (done bool, err error) {
	info, err := os.Stat(p.Dir)
	if err != nil {
		return false, err
	}
	if err := os.Chmod(stage, info.Mode()); err != nil {
		return false, err
	}
	if err := d.remove(p.Dir); err != nil {
		if err := d.removeAll(stage); err != nil {
			return false, err
		}
		return false, p.applyInPlace(d)
	}
	return true, nil
}

// comeBack makes the empty target again that gave way.
func (p *Plan) comeBack(d disk) error {
	if p.state != dirEmpty {
		return nil
	}
	return d.mkdir(p.Dir)
}

// stageFiles writes files below stage and flushes them and their directories.
func stageFiles(d disk, files render.Tree, stage string) error {
	dirs := map[string]bool{stage: true}
	for _, f := range files {
		name := filepath.Join(stage, filepath.FromSlash(f.Path))
		made, err := d.mkdirs(filepath.Dir(name))
		if err != nil {
			return err
		}
		for _, dir := range made {
			dirs[dir] = true
		}
		if err := d.write(name, f.Data, f.Mode); err != nil {
			return err
		}
	}
	return syncAll(d, dirs)
}

func syncAll(d disk, dirs map[string]bool) error {
	for dir := range dirs {
		if err := d.sync(dir); err != nil {
			return err
		}
	}
	return nil
}

// removeEmpty removes directories that this run made, innermost first, unless something has come into them.
func removeEmpty(d disk, dirs []string) error {
	for _, dir := range slices.Backward(dirs) {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
			continue
		}
		if err := d.remove(dir); err != nil {
			return fmt.Errorf("take back: %w", err)
		}
	}
	return nil
}
