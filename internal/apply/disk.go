package apply

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// disk does every change of the file system. before, when set, is called ahead of each one and may refuse it: tests use it to fail at
// every step, or to play dead from one step on.
type disk struct {
	before func(step string) error
}

func (d disk) step(name string) error {
	if d.before == nil {
		return nil
	}
	return d.before(name)
}

func (d disk) mkdir(dir string) error {
	if err := d.step("mkdir " + dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o755)
}

// mkdirs makes dir and its missing parents and tells which ones it made, outermost first, also when it fails.
func (d disk) mkdirs(dir string) (made []string, err error) {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil, nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if made, err = d.mkdirs(parent); err != nil {
			return made, err
		}
	}
	if err := d.mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return made, err
	}
	return append(made, dir), nil
}

// write makes a new file whose content is on the disk, not only in memory, when it returns.
func (d disk) write(name string, data []byte, mode fs.FileMode) (err error) {
	if err := d.step("write " + name); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func (d disk) rename(from, to string) error {
	if err := d.step("rename " + to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// place puts the staged file at a path where nothing is. A hard link, unlike a rename, fails when something has appeared there since
// the plan was made; file systems without hard links get the rename after a last look.
func (d disk) place(staged, to string) error {
	if err := d.step("place " + to); err != nil {
		return err
	}
	err := os.Link(staged, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &os.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(staged, to)
}

func (d disk) remove(name string) error {
	if err := d.step("remove " + name); err != nil {
		return err
	}
	return os.Remove(name)
}

func (d disk) removeAll(dir string) error {
	if err := d.step("remove all " + dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// discard removes what nobody needs any more. What cannot be removed now the next run removes.
func (d disk) discard(dir string) {
	if d.step("discard "+dir) == nil {
		os.RemoveAll(dir)
	}
}

// sync makes the entries of a directory durable. Systems that cannot sync a directory do without.
func (d disk) sync(dir string) error {
	if err := d.step("sync " + dir); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}
