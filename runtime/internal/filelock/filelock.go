// Package filelock keeps a second process, and a second owner in the same process, away from files that only one may write.
package filelock

import (
	"fmt"
	"os"
)

// A Lock is held until Release, or until the process ends, however it ends.
type Lock struct{ file *os.File }

// A HeldError says that somebody else holds the lock.
type HeldError struct {
	Path   string // the lock file
	Holder string // process id of the holder, empty when it is not known
}

func (e *HeldError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("%s is locked by another process", e.Path)
	}
	return fmt.Sprintf("%s is locked by process %s", e.Path, e.Holder)
}

// Acquire locks the file path, which it makes if need be, without waiting. The error is a [HeldError] when another holds the lock.
// The file is left in place afterwards: who removes it could remove one that the next owner has locked already.
func Acquire(path string) (*Lock, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	return &Lock{file: f}, nil
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.file.Close() }
