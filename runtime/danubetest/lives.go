package danubetest

import (
	"sync/atomic"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// lives is what the real broker's files would hold of a topic: what was flushed in every life of the process one after the other, and
// the cursors that were stored. All of it is in memory, and in a data directory too if there is one. It exists under the trap
// offsets-restart. Its topic's lock guards it.
type lives struct {
	topic   *topic
	number  atomic.Int64 // of the life
	flushed []stored     // of all lives, in the order in which they were written
	from    int          // where in flushed the last finished life begins
	born    int          // where this life begins
	next    uint64       // first offset of this life that is not flushed
	cursors map[string]uint64
	timer   *time.Timer
	ended   bool
	files   *seglog.Log // has the same as flushed; nil without a data directory
}

// How often and at which size the real broker writes what it has acknowledged, and how often a cursor.
const (
	lifeFlush      = 5 * time.Second
	lifeFlushBytes = 10 << 20
	cursorEvery    = 10 * time.Second
)

// maxFlushed bounds what is kept of all lives together; what is older is forgotten.
const maxFlushed = 1 << 17

func newLives(t *topic) *lives {
	if !t.reliable || !t.broker.settings.traps.has(trapOffsetsRestart) {
		return nil
	}
	l := &lives{topic: t, cursors: make(map[string]uint64)}
	if t.broker.settings.dataDir == "" { // else the timer runs once the files are open
		l.timer = time.AfterFunc(lifeFlush, l.tick)
	}
	return l
}

func (l *lives) tick() {
	l.topic.mu.Lock()
	defer l.topic.mu.Unlock()
	if l.ended {
		return
	}
	l.flush()
	l.topic.trim()
	l.timer.Reset(lifeFlush)
}

// flush writes what was published and not written yet.
func (l *lives) flush() {
	if l.ended {
		return
	}
	t, before, next := l.topic, len(l.flushed), l.next
	for l.next = max(l.next, t.log.first()); l.next < t.head; l.next++ {
		m := t.log.read(l.next)
		if !t.broker.budget.reserve(m.size) {
			continue
		}
		l.flushed = append(l.flushed, m)
	}
	if err := l.write(l.flushed[before:]); err != nil {
		l.undo(before, next, err)
		return
	}
	if extra := len(l.flushed) - maxFlushed; extra > 0 {
		l.drop(extra)
		l.forgetFiles()
	}
}

// drop forgets the n oldest.
func (l *lives) drop(n int) {
	for _, m := range l.flushed[:n] {
		l.topic.broker.budget.release(m.size)
	}
	l.flushed = append([]stored(nil), l.flushed[n:]...)
	l.from, l.born = max(0, l.from-n), max(0, l.born-n)
}

// published flushes early when much has gathered.
func (l *lives) published() {
	if l == nil {
		return
	}
	l.save()
	var size int64
	if l.next < l.topic.head {
		size = int64(l.topic.head-l.next) * l.topic.log.read(l.topic.head-1).size
	}
	if size >= lifeFlushBytes {
		l.flush()
	}
}

// readable is what a resumed subscription finds in the files.
func (l *lives) readable() []stored {
	if l.topic.broker.settings.traps.has(trapTwoLives) {
		return l.flushed
	}
	if l.born == len(l.flushed) {
		return l.flushed[l.from:]
	}
	return l.flushed[l.born:]
}

// restart ends a life. Under the trap flush-loss nothing is saved by that.
func (l *lives) restart() {
	t := l.topic
	if !t.broker.settings.traps.has(trapFlushLoss) {
		l.flush()
		for _, s := range t.subs {
			if m, ok := s.dispatcher.(*imitator); ok {
				m.storeCursor()
			}
		}
	}
	for name, s := range t.subs {
		s.close(errConnectionLost)
		delete(t.subs, name)
	}
	t.broker.budget.release(t.log.trim(t.log.next()))
	t.log, t.head = &memoryLog{}, 0
	l.next, l.from, l.born = 0, l.born, len(l.flushed)
	l.number.Add(1)
	t.broker.disk.touch(t)
	l.timer.Reset(lifeFlush)
}

// close ends the topic.
func (l *lives) close() {
	if l == nil {
		return
	}
	l.ended = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.drop(len(l.flushed))
}

// life is the number of the life, 0 without the trap.
func (l *lives) life() int64 {
	if l == nil {
		return 0
	}
	return l.number.Load()
}

// storeCursor writes how far the subscription has come.
func (m *imitator) storeCursor() {
	l := m.sub.topic.lives
	at, known := m.cursor.at()
	if l == nil || !known {
		return
	}
	l.cursors[m.sub.name] = at
	l.topic.broker.metadata.add(entriesOfCursor)
	l.topic.broker.disk.touch(l.topic)
	m.stored = time.Now()
}

// acknowledged stores the cursor when that is due. It is only done while an ack is handled.
func (m *imitator) acknowledged() {
	m.sub.acked++
	if time.Since(m.stored) >= cursorEvery {
		m.storeCursor()
	}
}
