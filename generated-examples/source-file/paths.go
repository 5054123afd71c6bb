package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A found is a regular file as it was when it was looked at.
type found struct {
	path  string // as a pattern or a directory listing gave it
	real  string // path with a symbolic link at its end resolved
	id    fileID
	size  int64
	mtime time.Time
}

// find looks at path. Anything but a regular file is an error.
func find(path string) (found, error) {
	info, err := os.Stat(path)
	if err != nil {
		return found{}, err
	}
	if !info.Mode().IsRegular() {
		return found{}, errNotRegular
	}
	real := path
	if link, err := os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
		if real, err = filepath.EvalSymlinks(path); err != nil {
			return found{}, err
		}
	}
	return found{path: path, real: real, id: idOf(info), size: info.Size(), mtime: info.ModTime()}, nil
}

var errNotRegular = errors.New("not a regular file")

// patterns are the paths that the user asked for and those that they did not.
type patterns struct{ include, exclude []string }

// A problem is something that keeps a file from being read. It is told once, and shown by Ping as long as it lasts if it is severe.
type problem struct {
	text     string
	severe   bool // false: a directory that is empty for now looks like this, too
	waiting  bool // for a file that does not exist, as happens for a moment in every rotation
	hopeless bool // no waiting mends it
}

// expand lists the files that the patterns match now, each file once under the first path that leads to it.
func (p patterns) expand() (files []found, problems []problem) {
	seen := make(map[fileID]bool)
	for _, pattern := range p.include {
		paths := []string{filepath.Clean(pattern)}
		literal := !hasMeta(pattern)
		if !literal {
			paths, _ = filepath.Glob(filepath.Clean(pattern)) // the only error is a bad pattern, which Validate refuses
		}
		matched := 0
		for _, path := range paths {
			if p.excluded(path) {
				continue
			}
			f, err := find(path)
			switch {
			case err == nil:
				matched++
				if !seen[f.id] {
					seen[f.id] = true
					files = append(files, f)
				}
			case literal:
				problems = append(problems, explainMissing(path, err))
			case errors.Is(err, fs.ErrPermission):
				matched++
				problems = append(problems, unreadable(err))
			}
		}
		if matched == 0 && !literal {
			problems = append(problems, explainUnmatched(pattern))
		}
	}
	return files, problems
}

func hasMeta(pattern string) bool { return strings.ContainsAny(pattern, `*?[\`) }

func (p patterns) excluded(path string) bool {
	for _, pattern := range p.exclude {
		subject := path
		if !strings.ContainsRune(pattern, filepath.Separator) {
			subject = filepath.Base(path)
		}
		if ok, _ := filepath.Match(pattern, subject); ok {
			return true
		}
	}
	return false
}

func (p patterns) match(path string) bool {
	for _, pattern := range p.include {
		if ok, _ := filepath.Match(filepath.Clean(pattern), path); ok {
			return !p.excluded(path)
		}
	}
	return false
}

// directories whose changes may bring a file: those of files, and those in which the patterns begin.
func (p patterns) directories(files []found) []string {
	var dirs []string
	for _, pattern := range p.include {
		dirs = append(dirs, baseDir(pattern))
	}
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f.path), filepath.Dir(f.real))
	}
	return dirs
}

// baseDir is the directory of a pattern as far as it holds no special characters.
func baseDir(pattern string) string {
	dir := filepath.Dir(filepath.Clean(pattern))
	for hasMeta(dir) {
		dir = filepath.Dir(dir)
	}
	return dir
}

func explainMissing(path string, err error) problem {
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text := fmt.Sprintf("paths: %s does not exist; waiting for it: create it or correct the path", path)
		return problem{text: text, severe: true, waiting: true}
	case statErr == nil && info.IsDir():
		text := fmt.Sprintf("paths: %s is a directory; for the files in it write %s", path, filepath.Join(path, "*"))
		return problem{text: text, severe: true, hopeless: true}
	case errors.Is(err, errNotRegular):
		return problem{text: fmt.Sprintf("paths: %s is %v; name a file that holds lines", path, err), severe: true, hopeless: true}
	}
	return unreadable(err)
}

func unreadable(err error) problem {
	text := fmt.Sprintf("%v; it is tried again until it can be read", err)
	if errors.Is(err, fs.ErrPermission) {
		text = fmt.Sprintf("%v; let the connector's user read it, it is tried again until then", err)
	}
	return problem{text: text, severe: true}
}

func explainUnmatched(pattern string) problem {
	dir := baseDir(pattern)
	switch _, err := os.ReadDir(dir); {
	case err == nil:
		text := fmt.Sprintf("paths: %s matches no file; waiting for one: correct the pattern if there should be some", pattern)
		return problem{text: text, waiting: true}
	case errors.Is(err, fs.ErrNotExist):
		text := fmt.Sprintf("paths: %s matches no file: there is no directory %s; waiting for it: create it or correct the pattern", pattern, dir)
		return problem{text: text, severe: true, waiting: true}
	default:
		return unreadable(err)
	}
}

// siblings lists the regular files of the directories, each file once.
func siblings(dirs ...string) ([]found, error) {
	var files []found
	seen := make(map[string]bool)
	for _, dir := range dirs {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if f, err := find(filepath.Join(dir, e.Name())); err == nil {
				files = append(files, f)
			}
		}
	}
	return files, nil
}
