package danubetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/filelock"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// dataDir is the folder of a durable broker:
//
//	lock          held while the broker lives
//	state/        a log of what is known of topics and their subscriptions, see topicRecord
//	topics/ID/    a log of the messages of one reliable topic; under the trap offsets-restart see livesRecord
//
// A message is durable before its publish is answered. What else changes is durable before its call is answered, but for the
// positions of subscriptions: they are written a moment later, so that after a crash the newest acknowledgements are unknown and
// their messages come again.
type dataDir struct {
	broker *Broker
	path   string
	frozen map[string]bool // the namespaces at the end; guarded by Broker.mu
	lock   *filelock.Lock
	room   diskRoom

	mu     sync.Mutex // a leaf in the lock order; guards what follows
	nextID uint64
	dirty  map[*topic]bool
	gone   []*topic
	timer  *time.Timer // runs while something is dirty
	beat   *time.Timer // under the trap metadata-limit
	closed bool

	flushing sync.Mutex // one flush at a time; taken before every other lock
	states   *states
	failing  bool // the last flush failed
}

// flushEvery is how long the position of a subscription may be known in memory only.
const flushEvery = 200 * time.Millisecond

// openDataDir locks the folder and makes the topics that it knows.
func openDataDir(b *Broker, path string) (*dataDir, error) {
	d, err := lockDataDir(b, path)
	if err != nil {
		return nil, err
	}
	if err := d.restore(); err != nil {
		return nil, errors.Join(err, d.abandon())
	}
	return d, nil
}

// lockDataDir locks the folder and reads the state.
func lockDataDir(b *Broker, path string) (*dataDir, error) {
	if err := os.MkdirAll(filepath.Join(path, "topics"), 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := filelock.Acquire(filepath.Join(path, "lock"))
	var held *filelock.HeldError
	switch {
	case errors.As(err, &held):
		return nil, fmt.Errorf("data directory %s is in use by process %s; end it, or name another directory", path, held.Holder)
	case err != nil:
		return nil, fmt.Errorf("data directory: %w; the broker must be able to write there", err)
	}
	d := &dataDir{broker: b, path: path, lock: lock, nextID: 1, dirty: make(map[*topic]bool)}
	d.room.limit = b.settings.disk
	if d.states, err = openStates(filepath.Join(path, "state"), b.settings.files); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s: state: %w", path, err), lock.Release())
	}
	return d, nil
}

func (d *dataDir) topicPath(id uint64) string {
	return filepath.Join(d.path, "topics", strconv.FormatUint(id, 10))
}

// openLog opens the log of a topic of which r is known.
func (d *dataDir) openLog(t *topic, r topicRecord) error {
	log, err := seglog.Open(d.topicPath(t.id), seglog.Options{
		Locked: true, Safe: r.Published, SegmentBytes: d.room.segmentBytes(), FS: d.broker.settings.files,
	})
	if err != nil {
		return fmt.Errorf("topic %s: %w", t.name, err)
	}
	if r := log.Report(); r.Cut > 0 {
		d.broker.log.Warn("the broker was not closed, and the end of a log was torn", "topic", t.name, "report", r.String())
	}
	if t.lives == nil {
		t.log = newDiskLog(log, t.name, d.broker.log, &d.room)
		return nil
	}
	if err := t.lives.open(log, r.Lives); err != nil {
		return errors.Join(fmt.Errorf("topic %s: %w", t.name, err), t.closeFiles())
	}
	return nil
}

// adopt gives a new topic its place on disk. Broker.mu is held.
func (d *dataDir) adopt(t *topic) error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	t.id = d.nextID
	d.nextID++
	d.mu.Unlock()
	if t.reliable {
		if err := d.openLog(t, topicRecord{}); err != nil {
			return err
		}
	}
	d.touch(t)
	return nil
}

// touch says that what is known of t has changed. The topic is locked, or nobody else knows it yet.
func (d *dataDir) touch(t *topic) {
	if d == nil || t.dirty {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || t.discarded {
		return
	}
	t.dirty = true
	d.dirty[t] = true
	d.arm()
}

// arm makes flush run soon. mu is held.
func (d *dataDir) arm() {
	if d.timer == nil {
		d.timer = time.AfterFunc(flushEvery, func() { _ = d.flush() }) // it has logged what was wrong
	}
}

// discard says that topics are gone for good, and perhaps namespaces and schemas.
func (d *dataDir) discard(topics ...*topic) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = append(d.gone, topics...)
	for _, t := range topics {
		t.discarded = true
		delete(d.dirty, t)
	}
	d.arm()
}

// flush makes all changes so far durable.
func (d *dataDir) flush() error {
	if d == nil {
		return nil
	}
	d.flushing.Lock()
	defer d.flushing.Unlock()
	d.mu.Lock()
	dirty, gone := d.dirty, d.gone
	d.dirty, d.gone = make(map[*topic]bool), nil
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.mu.Unlock()

	schemas := d.broker.schemas.take()
	changes := append([]stateChange{{key: namespacesKey, value: d.namespaceRecord()}}, schemas...)
	changes = append(changes, d.imitation()...)
	for _, t := range gone {
		changes = append(changes, stateChange{key: topicKey(t.name)})
	}
	passed, scarce := make(map[*topic]uint64), d.room.scarce.Load()
	for t := range dirty {
		t.mu.Lock()
		t.dirty = false
		changes = append(changes, stateChange{key: topicKey(t.name), value: t.record()})
		if !t.closed {
			passed[t] = t.passedOnDisk(scarce && t.reliable)
		}
		t.mu.Unlock()
	}
	if err := d.states.save(changes); err != nil {
		d.broker.schemas.giveBack(schemas)
		d.again(dirty, gone, err)
		return fmt.Errorf("data directory %s cannot be written: %w", d.path, err)
	}
	d.failing = false
	if scarce {
		d.passedAll(passed)
	}
	d.clean(passed, gone, scarce)
	return nil
}

// again keeps for the next flush what this one could not save.
func (d *dataDir) again(dirty map[*topic]bool, gone []*topic, err error) {
	if !d.failing {
		d.broker.log.Error("data directory cannot be written, will try again", "path", d.path, "error", err)
	}
	d.failing = true
	d.mu.Lock()
	d.gone = append(gone, d.gone...)
	d.arm()
	d.mu.Unlock()
	for t := range dirty {
		t.mu.Lock()
		d.touch(t)
		t.mu.Unlock()
	}
}

// clean frees what no position needs any more, now that the positions are durable.
func (d *dataDir) clean(passed map[*topic]uint64, gone []*topic, scarce bool) {
	for t, offset := range passed {
		if log, ok := t.log.(*diskLog); ok {
			if err := log.free(offset, scarce, d.broker.settings.keep); err != nil && !errors.Is(err, seglog.ErrClosed) {
				d.broker.log.Warn("old messages could not be removed, will try again", "topic", t.name, "error", err)
			}
			t.mu.Lock()
			log.charge()
			t.mu.Unlock()
		}
	}
	for _, t := range gone {
		if err := d.remove(t); err != nil {
			d.broker.log.Warn("messages of a deleted topic could not be removed, the next start will do it", "topic", t.name, "error", err)
		}
	}
	d.room.enough()
}

// remove removes the messages of a deleted topic.
func (d *dataDir) remove(t *topic) error {
	if !t.reliable {
		return nil
	}
	t.mu.Lock()
	err := t.closeFiles()
	if log, ok := t.log.(*diskLog); ok {
		log.uncharge()
	}
	t.mu.Unlock()
	return errors.Join(err, os.RemoveAll(d.topicPath(t.id)))
}

// end makes flush do nothing any more.
func (d *dataDir) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, timer := range []*time.Timer{d.timer, d.beat} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// abandon gives the folder back after a start that failed.
func (d *dataDir) abandon() error {
	d.end()
	var errs []error
	for _, t := range d.broker.topics {
		for _, s := range t.subs {
			s.dispatcher.stop()
		}
		errs = append(errs, t.closeFiles())
	}
	return errors.Join(append(errs, d.states.close(), d.lock.Release())...)
}

// close makes the last changes durable and gives the folder back. The topics are closed already.
func (d *dataDir) close(topics []*topic) error {
	if d == nil {
		return nil
	}
	err := d.flush()
	d.end()
	d.flushing.Lock() // a flush that the timer has begun
	defer d.flushing.Unlock()
	errs := []error{err}
	for _, t := range topics {
		t.mu.Lock()
		errs = append(errs, t.closeFiles())
		t.mu.Unlock()
	}
	return errors.Join(append(errs, d.states.close(), d.lock.Release())...)
}
