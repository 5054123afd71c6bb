package seglog_test

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing/fstest"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// A disk is a file system in memory with one folder, that can be made to fail.
type disk struct {
	mu    sync.Mutex
	files map[string]*[]byte // by name without folder

	room     atomic.Int64 // bytes that can still be written
	noSync   atomic.Bool
	noCut    atomic.Bool
	readOnly atomic.Bool
	syncs    atomic.Int64
	syncTime time.Duration // how long each takes
	beforeIO func()        // called before each write, may be nil
}

func newDisk() *disk {
	d := &disk{files: make(map[string]*[]byte)}
	d.room.Store(1 << 40)
	return d
}

// options are those of a log on this disk.
func (d *disk) options(segmentBytes int64) seglog.Options {
	return seglog.Options{FS: d, Locked: true, SegmentBytes: segmentBytes}
}

// copy is another disk with the same files: what a process leaves behind that dies now.
func (d *disk) copy() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newDisk()
	for name, data := range d.files {
		whole := slices.Clone(*data)
		c.files[name] = &whole
	}
	return c
}

// with is a copy with one file changed.
func (d *disk) with(name string, content []byte) *disk {
	c := d.copy()
	c.files[name] = &content
	return c
}

// without is a copy without one file.
func (d *disk) without(name string) *disk {
	c := d.copy()
	delete(c.files, name)
	return c
}

func (d *disk) content(name string) []byte { return slices.Clone(*d.files[name]) }

// names lists the files that end in suffix.
func (d *disk) names(suffix string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.files)), func(name string) bool { return !strings.HasSuffix(name, suffix) })
}

func (d *disk) OpenFile(name string, flag int, _ fs.FileMode) (seglog.File, error) {
	if d.readOnly.Load() && flag&(os.O_RDWR|os.O_WRONLY) != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EROFS}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	data := d.files[path.Base(name)]
	switch {
	case data == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case data == nil:
		data = new([]byte)
		d.files[path.Base(name)] = data
	}
	if flag&os.O_TRUNC != 0 {
		*data = nil
	}
	return &diskFile{disk: d, name: name, data: data}, nil
}

func (d *disk) ReadDir(string) ([]fs.DirEntry, error) {
	listed := fstest.MapFS{}
	for _, name := range d.names("") {
		listed[name] = &fstest.MapFile{}
	}
	return listed.ReadDir(".")
}

func (d *disk) MkdirAll(string, fs.FileMode) error { return nil }

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, path.Base(name))
	return nil
}

func (d *disk) SyncDir(string) error { return nil }

type diskFile struct {
	disk *disk
	name string
	data *[]byte
}

func (f *diskFile) ReadAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := copy(b, (*f.data)[min(at, int64(len(*f.data))):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes as much as there is room for.
func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	if f.disk.beforeIO != nil {
		f.disk.beforeIO()
	}
	var err error
	if left := f.disk.room.Add(-int64(len(b))); left < 0 {
		n := max(0, int64(len(b))+left)
		f.disk.room.Add(int64(len(b)) - n)
		b, err = b[:n], &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	for int64(len(*f.data)) < at+int64(len(b)) {
		*f.data = append(*f.data, 0)
	}
	return copy((*f.data)[at:], b), err
}

func (f *diskFile) Sync() error {
	f.disk.syncs.Add(1)
	for start := time.Now(); time.Since(start) < f.disk.syncTime; {
		runtime.Gosched()
	}
	if f.disk.noSync.Load() {
		return &fs.PathError{Op: "sync", Path: f.name, Err: syscall.EIO}
	}
	return nil
}

func (f *diskFile) Truncate(size int64) error {
	if f.disk.noCut.Load() {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: syscall.EIO}
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	*f.data = (*f.data)[:size]
	return nil
}

func (f *diskFile) Stat() (fs.FileInfo, error) { return f, nil }

func (f *diskFile) Size() int64 {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(*f.data))
}

func (f *diskFile) Name() string       { return path.Base(f.name) }
func (f *diskFile) Mode() fs.FileMode  { return 0o600 }
func (f *diskFile) ModTime() time.Time { return time.Time{} }
func (f *diskFile) IsDir() bool        { return false }
func (f *diskFile) Sys() any           { return nil }

func (f *diskFile) Close() error {
	if f.data == nil {
		return errors.New("closed twice")
	}
	f.data = nil
	return nil
}
