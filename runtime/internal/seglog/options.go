package seglog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Options change how a log works. The zero value is good.
type Options struct {
	// SegmentBytes is the size at which a new segment file is begun, 16 MiB if zero. Smaller ones are removed sooner and make
	// opening faster, since Open reads the last one; larger ones are fewer files.
	SegmentBytes int64
	// NoSync leaves it to the operating system when to write: the records of the last seconds survive the end of the process but
	// not that of the machine.
	NoSync bool
	// Locked says that the caller keeps others away from the folder, so that the log takes no lock of its own.
	Locked bool
	// Safe says that records below it are known to be safe on disk: when one is missing, that is damage and not a torn tail.
	Safe uint64
	// FS is where the files are, the operating system's if nil. Tests make it fail.
	FS FS
}

const (
	defaultSegmentBytes = 16 << 20
	// MaxRecord is the size of the largest record.
	MaxRecord = 64 << 20
)

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.FS == nil {
		o.FS = OS
	}
	return o
}

// An FS is what a log needs of a file system.
type FS interface {
	// OpenFile opens a file as [os.OpenFile] does.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// ReadDir lists a folder in the order of names.
	ReadDir(name string) ([]fs.DirEntry, error)
	// MkdirAll makes a folder and those above it.
	MkdirAll(name string, perm fs.FileMode) error
	// Remove removes a file.
	Remove(name string) error
	// SyncDir makes it durable which files a folder has.
	SyncDir(name string) error
}

// A File is what a log needs of a file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the content durable.
	Sync() error
	// Truncate cuts the file.
	Truncate(size int64) error
	// Stat tells the size.
	Stat() (fs.FileInfo, error)
}

// Errors of a log that is not damaged.
var (
	// ErrClosed is returned by every method of a closed log.
	ErrClosed = errors.New("log is closed")
	// ErrOutOfRange is returned by reads of an offset that was trimmed or that is not safe on disk yet.
	ErrOutOfRange = errors.New("no such record")
	// ErrTooLarge is returned by Append for a record beyond MaxRecord.
	ErrTooLarge = errors.New("record is too large")
)

// A DamageError names a place where the log does not hold what was written to it.
type DamageError struct {
	File   string
	At     int64  // byte of the file
	Offset uint64 // the first record that cannot be read
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("log is damaged: %s at byte %d, record %d: %s; restore the file from a copy, or move the folder away to begin anew",
		e.File, e.At, e.Offset, e.Reason)
}

// OS is the operating system's file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // not f, which would be a nil pointer in a File
	}
	return f, nil
}

func (osFS) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (osFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osFS) Remove(name string) error                     { return os.Remove(name) }
func (osFS) SyncDir(name string) error                    { return syncDir(name) }
