package main

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// While events pour in, they are taken from the operating system in steps of time: it merges those of one file meanwhile.
const (
	eventStep   = 2 * time.Millisecond
	eventBuffer = 1024
)

// A watcher tells of changes in directories as far as the operating system does. Where it does not, as on network file systems, the
// source finds out at its next scan. Its goroutine runs from start to close, which waits for it.
type watcher struct {
	notify *fsnotify.Watcher // nil: not started, or the operating system gives none
	dirs   map[string]bool
	wake   chan struct{} // holds a token when something changed
	done   chan struct{} // closed when the goroutine has ended

	mu    sync.Mutex
	dirty map[string]bool // files that were written
	tree  bool            // files came, went or were renamed
}

func newWatcher() *watcher {
	return &watcher{dirs: make(map[string]bool), wake: make(chan struct{}, 1), done: make(chan struct{}), dirty: make(map[string]bool)}
}

func (w *watcher) start(dirs []string) {
	notify, err := fsnotify.NewBufferedWatcher(eventBuffer)
	if err != nil {
		return // out of watches: the scans do
	}
	w.notify = notify
	go w.run()
	w.add(dirs)
}

// add watches directories. One that cannot be watched is tried again at the next call.
func (w *watcher) add(dirs []string) {
	if w.notify == nil {
		return
	}
	wanted := make(map[string]bool, len(dirs))
	for _, dir := range dirs {
		if !wanted[dir] {
			// Adding a watched directory again does nothing, and renews the watch of one that was removed and made anew.
			wanted[dir] = w.notify.Add(dir) == nil
		}
	}
	for dir := range w.dirs {
		if !wanted[dir] {
			_ = w.notify.Remove(dir) // the only error is that it is not watched
		}
	}
	w.dirs = wanted
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		select {
		case event, ok := <-w.notify.Events:
			if !ok {
				return
			}
			w.note(event)
			<-time.After(eventStep)
			for range len(w.notify.Events) {
				w.note(<-w.notify.Events)
			}
		case _, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			w.note(fsnotify.Event{Op: fsnotify.Create}) // events were lost: look at everything
		}
	}
}

func (w *watcher) note(event fsnotify.Event) {
	w.mu.Lock()
	if event.Has(fsnotify.Write) {
		w.dirty[filepath.Clean(event.Name)] = true
	}
	if event.Op&(fsnotify.Create|fsnotify.Remove|fsnotify.Rename|fsnotify.Chmod) != 0 {
		w.tree = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// changes returns what changed since the last call: the files that were written, and whether others came, went or were renamed.
func (w *watcher) changes() (dirty map[string]bool, tree bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.dirty) > 0 {
		dirty, w.dirty = w.dirty, make(map[string]bool)
	}
	tree, w.tree = w.tree, false
	return dirty, tree
}

// wait returns when something changed, at the time until, or when ctx is done.
func (w *watcher) wait(ctx context.Context, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// close ends the goroutine and waits for it.
func (w *watcher) close() error {
	if w.notify == nil {
		return nil
	}
	err := w.notify.Close()
	<-w.done
	return err
}
