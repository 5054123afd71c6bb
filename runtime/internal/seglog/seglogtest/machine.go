// Package seglogtest has a file system in memory whose machine can end at any moment. What was synced is there afterwards; of all that
// was not, some is there, some is not and some is torn.
package seglogtest

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// ErrOff is what every call fails with once the machine has ended.
var ErrOff = errors.New("the machine is off")

// A Machine is a [seglog.FS]. Content and names are durable on their own, as POSIX has it: a file whose folder was not synced may be
// gone although it was synced itself.
type Machine struct {
	mu   sync.Mutex
	root *node
	left int // changes until the machine ends; negative for never
	off  bool
}

// New is a machine with an empty disk.
func New() *Machine { return &Machine{root: newFolder(), left: -1} }

// EndAfter ends the machine in the middle of the change after n more: a write, a sync, a truncation, a new or a removed name.
func (m *Machine) EndAfter(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = n
}

// End ends the machine now.
func (m *Machine) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = true
}

// A node is a file, or a folder.
type node struct {
	now, synced []byte
	writes      []write // since the last sync

	names, syncedNames map[string]*node // nil of a file
	renames            []rename         // since the last sync of the folder
}

// A write changes a file from at on; without data it truncates to at.
type write struct {
	at   int64
	data []byte
}

// A rename gives a name to a node, or takes it away when node is nil.
type rename struct {
	name string
	node *node
}

func newFolder() *node { return &node{names: map[string]*node{}, syncedNames: map[string]*node{}} }

// apply changes content as w says.
func (w write) apply(content []byte) []byte {
	if w.data == nil {
		return content[:min(w.at, int64(len(content)))]
	}
	if missing := w.at + int64(len(w.data)) - int64(len(content)); missing > 0 {
		content = append(content, make([]byte, missing)...)
	}
	copy(content[w.at:], w.data)
	return content
}

func (r rename) apply(names map[string]*node) {
	if r.node == nil {
		delete(names, r.name)
		return
	}
	names[r.name] = r.node
}

// change runs f with the machine locked, unless it is off. It returns ErrOff when the machine ends with this change, which may have
// come to the disk or not.
func (m *Machine) change(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off {
		return ErrOff
	}
	f()
	if m.left == 0 {
		m.off = true
		return ErrOff
	}
	m.left--
	return nil
}

// sync is change for a change that has not happened if the machine ends with it.
func (m *Machine) sync(f func()) error {
	return m.change(func() {
		if m.left != 0 {
			f()
		}
	})
}

// find returns the node of a path, nil if there is none. The machine is locked.
func (m *Machine) find(path string) *node {
	n := m.root
	for _, name := range split(path) {
		if n = n.names[name]; n == nil {
			return nil
		}
	}
	return n
}

// split cuts a path into names.
func split(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(filepath.Clean(path)), func(r rune) bool { return r == '/' })
}

// put gives a name in a folder to a node.
func (n *node) put(name string, to *node) {
	r := rename{name, to}
	r.apply(n.names)
	n.renames = append(n.renames, r)
}

// OpenFile implements [seglog.FS].
func (m *Machine) OpenFile(name string, flag int, _ fs.FileMode) (seglog.File, error) {
	m.mu.Lock()
	folder, n := m.find(filepath.Dir(name)), m.find(name)
	m.mu.Unlock()
	var err error
	switch {
	case m.Off():
		return nil, ErrOff
	case folder == nil || n == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n == nil:
		n = &node{}
		err = m.change(func() { folder.put(filepath.Base(name), n) })
	case flag&os.O_TRUNC != 0 && len(n.now) > 0:
		err = m.change(func() { n.write(write{}) })
	}
	return &file{m, name, n}, err
}

// Off says whether the machine has ended.
func (m *Machine) Off() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.off
}

// ReadDir implements [seglog.FS].
func (m *Machine) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(name)
	switch {
	case m.off:
		return nil, ErrOff
	case n == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	var entries []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		entries = append(entries, fs.FileInfoToDirEntry(info{name, n.names[name]}))
	}
	return entries, nil
}

// MkdirAll implements [seglog.FS].
func (m *Machine) MkdirAll(name string, _ fs.FileMode) error {
	n := m.root
	for _, name := range split(name) {
		m.mu.Lock()
		next := n.names[name]
		m.mu.Unlock()
		if next == nil {
			next = newFolder()
			if err := m.change(func() { n.put(name, next) }); err != nil {
				return err
			}
		}
		n = next
	}
	return nil
}

// Remove implements [seglog.FS].
func (m *Machine) Remove(name string) error {
	return m.change(func() {
		if folder := m.find(filepath.Dir(name)); folder != nil {
			folder.put(filepath.Base(name), nil)
		}
	})
}

// SyncDir implements [seglog.FS].
func (m *Machine) SyncDir(name string) error {
	return m.sync(func() {
		if n := m.find(name); n != nil {
			n.syncedNames, n.renames = maps.Clone(n.names), nil
		}
	})
}

// A file is an open one.
type file struct {
	machine *Machine
	name    string
	node    *node
}

func (n *node) write(w write) {
	n.now = w.apply(n.now)
	n.writes = append(n.writes, w)
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	if f.machine.off {
		return 0, ErrOff
	}
	n := copy(b, f.node.now[min(at, int64(len(f.node.now))):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	return len(b), f.machine.change(func() { f.node.write(write{at, append([]byte{}, b...)}) })
}

func (f *file) Sync() error {
	return f.machine.sync(func() { f.node.synced, f.node.writes = slices.Clone(f.node.now), nil })
}

func (f *file) Truncate(size int64) error {
	return f.machine.change(func() { f.node.write(write{at: size}) })
}

func (f *file) Stat() (fs.FileInfo, error) {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	if f.machine.off {
		return nil, ErrOff
	}
	return info{f.name, &node{now: f.node.now}}, nil
}

func (f *file) Close() error { return nil }

// info is what is known of a file or folder.
type info struct {
	path string
	node *node
}

func (i info) Name() string       { return filepath.Base(i.path) }
func (i info) Size() int64        { return int64(len(i.node.now)) }
func (i info) Mode() fs.FileMode  { return 0o600 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.node.names != nil }
func (i info) Sys() any           { return nil }
