package danubetest

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// With a data directory the start of a process is a restart of the real broker too, under the trap offsets-restart. The simplest that
// does it: the messages of a topic live in memory as without a data directory, its folder has what was flushed of all lives, one record
// each with the offset that it had in its life, and the state has the cursors and where the last life begins. So whatever ends the
// process, what was not flushed is gone, and nothing has to be thrown away at the start.

// Keys of what a dataDir stores under the trap.
const (
	imitationKey = "restarts" // says that the folder is one of this kind
	metadataKey  = "metadata" // how many entries the metadata log has
)

// livesRecord is what the data directory knows of a topic's lives beside the messages.
type livesRecord struct {
	Born    uint64            `json:"born"` // the record with which the last life begins
	Cursors map[string]uint64 `json:"cursors,omitempty"`
}

// record is the lives as they are to be stored. Without the trap flush-loss the cursors are the newest.
func (l *lives) record() *livesRecord {
	if l == nil {
		return nil
	}
	r := &livesRecord{Born: l.firstRecord() + uint64(l.born), Cursors: make(map[string]uint64)}
	for name, at := range l.cursors {
		r.Cursors[name] = at
	}
	if l.topic.broker.settings.traps.has(trapFlushLoss) {
		return r
	}
	for name, s := range l.topic.subs {
		if m, ok := s.dispatcher.(*imitator); ok {
			if at, known := m.cursor.at(); known {
				r.Cursors[name] = at
			}
		}
	}
	return r
}

// firstRecord is the record of the oldest message in flushed.
func (l *lives) firstRecord() uint64 { return l.files.Next() - uint64(len(l.flushed)) }

// open begins the next life with what the files and the state have of those before.
func (l *lives) open(files *seglog.Log, r *livesRecord) error {
	l.files = files
	if err := l.load(); err != nil {
		return err
	}
	l.born = len(l.flushed)
	if r != nil {
		l.from = int(max(r.Born, l.firstRecord()) - l.firstRecord())
		for name, at := range r.Cursors {
			l.cursors[name] = at
		}
	}
	if extra := len(l.flushed) - maxFlushed; extra > 0 {
		l.drop(extra)
	}
	l.timer = time.AfterFunc(lifeFlush, l.tick)
	return nil
}

func (l *lives) load() (err error) {
	r := l.files.Reader(l.files.First())
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.Offset() < l.files.Next() {
		record, err := r.Next()
		if err != nil {
			return err
		}
		m := &danubepb.StreamMessage{}
		if err := proto.Unmarshal(record, m); err != nil {
			return fmt.Errorf("record %d is not a message: %w", r.Offset()-1, err)
		}
		s := stored{offset: m.GetMsgId().GetTopicOffset(), size: int64(len(record)) + messageOverhead, msg: m}
		l.topic.broker.budget.used.Add(s.size) // also beyond the limit: it is there
		l.flushed = append(l.flushed, s)
	}
	return nil
}

// write brings the newest messages of flushed to the disk, all or none.
func (l *lives) write(messages []stored) error {
	if l.files == nil || len(messages) == 0 {
		return nil
	}
	var last seglog.Ticket
	for _, m := range messages {
		record, err := proto.Marshal(m.msg)
		if err != nil {
			return err
		}
		if last, err = l.files.Append(record); err != nil {
			return err
		}
	}
	return last.Wait()
}

// undo takes back what flush could not write of flushed, which had n messages before; the next flush tries again.
func (l *lives) undo(n int, next uint64, err error) {
	t := l.topic
	t.broker.log.Error("messages could not be flushed, will try again", "topic", t.name, "error", err)
	for _, m := range l.flushed[n:] {
		t.broker.budget.release(m.size)
	}
	l.flushed, l.next = l.flushed[:n:n], next
}

// forgetFiles removes from the disk what drop has forgotten.
func (l *lives) forgetFiles() {
	if l.files == nil {
		return
	}
	if err := l.files.Trim(l.firstRecord(), seglog.Keep{}); err != nil {
		l.topic.broker.log.Warn("old messages could not be removed, will try again", "topic", l.topic.name, "error", err)
	}
}

// save flushes at once where nothing that was acknowledged may be lost: with a data directory and without the trap flush-loss.
func (l *lives) save() {
	if l != nil && l.files != nil && !l.topic.broker.settings.traps.has(trapFlushLoss) {
		l.flush()
	}
}

// closeFiles ends the use of a topic's files. It is locked.
func (t *topic) closeFiles() error {
	if log, ok := t.log.(*diskLog); ok {
		return log.close()
	}
	t.lives.close()
	if t.lives == nil || t.lives.files == nil {
		return nil
	}
	return t.lives.files.Close()
}

// agree says why the folder cannot be used under the traps of this broker: its files mean something else.
func (d *dataDir) agree() error {
	imitates, known := d.imitates(), d.states.live[imitationKey] != ""
	switch {
	case imitates == known || d.states.log.Next() == 0:
		return nil
	case known:
		return fmt.Errorf("data directory %s was written by a broker that imitates the restarts of the real one; "+
			"switch the trap offsets-restart on, or name another directory", d.path)
	}
	return fmt.Errorf("data directory %s was written by a broker that does not imitate the restarts of the real one; "+
		"switch the trap offsets-restart off, or name another directory", d.path)
}

func (d *dataDir) imitates() bool { return d.broker.settings.traps.has(trapOffsetsRestart) }

// startMetadata goes on with the metadata log of the life before, which may be too long to start with.
func (d *dataDir) startMetadata() error {
	text, ok := d.states.live[metadataKey]
	if !ok {
		return nil
	}
	entries, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("data directory %s: length of the metadata log: %w", d.path, err)
	}
	d.broker.metadata.add(entries)
	if d.broker.settings.traps.has(trapMetadataLimit) && entries > entriesAtMost {
		return fmt.Errorf("data directory %s: %s", d.path, metadataLimitError)
	}
	return nil
}

// beatEvery is how often the length of the metadata log is stored while nothing else is, under the trap metadata-limit.
const beatEvery = time.Minute

// beginLife makes it known, before anybody connects, that a life has begun.
func (d *dataDir) beginLife() error {
	if !d.imitates() {
		return nil
	}
	if err := d.states.save([]stateChange{{key: imitationKey, value: "offsets-restart"}}); err != nil {
		return fmt.Errorf("data directory %s cannot be written: %w", d.path, err)
	}
	for _, t := range d.broker.topics {
		t.mu.Lock()
		d.touch(t)
		t.mu.Unlock()
	}
	if err := d.flush(); err != nil {
		return err
	}
	if d.broker.settings.traps.has(trapMetadataLimit) {
		d.mu.Lock()
		d.beat = time.AfterFunc(beatEvery, d.storeBeat)
		d.mu.Unlock()
	}
	return nil
}

func (d *dataDir) storeBeat() {
	_ = d.flush() // it has logged what was wrong
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.beat.Reset(beatEvery)
	}
}

// imitation is what a flush stores for the trap.
func (d *dataDir) imitation() []stateChange {
	if !d.imitates() {
		return nil
	}
	return []stateChange{{key: metadataKey, value: strconv.Itoa(d.broker.metadata.applied())}}
}
