package danubetest

import (
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// diskLog is a messageLog on disk. It has the newest messages in memory as well, as far as the budget allows; reading another one
// is a read from a file, the only thing that can make a topic wait while it is locked.
type diskLog struct {
	log     *seglog.Log
	logger  *slog.Logger
	topic   string
	trimmed uint64       // messages below are only kept by the retention
	start   uint64       // offset of the first message in recent
	recent  fifo[stored] // up to next
	dropped int64        // bytes of memory that append has freed
	readers [4]*seglog.Reader
	turn    int // which reader is replaced next
	damaged bool
	room    *diskRoom // nil without a limit
	charged int64     // bytes of it
}

func newDiskLog(log *seglog.Log, topic string, logger *slog.Logger, room *diskRoom) *diskLog {
	l := &diskLog{log: log, logger: logger, topic: topic, start: log.Next(), trimmed: log.First()}
	if room.limit > 0 {
		l.room = room
		l.charge()
	}
	return l
}

func (l *diskLog) first() uint64 { return max(l.trimmed, l.log.First()) }

func (l *diskLog) next() uint64 { return l.log.Next() }

func (l *diskLog) append(msg *danubepb.StreamMessage, size int64) (uint64, commit, error) {
	record, err := proto.Marshal(msg)
	if err != nil {
		return 0, nil, err
	}
	t, err := l.log.Append(record)
	if err != nil {
		return 0, nil, err
	}
	l.took(len(record), size)
	// A failure since the last call has given offsets back.
	l.dropped += l.dropFrom(t.Offset())
	if l.recent.len() == 0 {
		l.start = t.Offset()
	}
	l.recent.push(stored{offset: t.Offset(), size: size, msg: msg})
	return t.Offset(), t.Wait, nil
}

func (l *diskLog) forget() int64 {
	freed := l.dropped + l.dropFrom(l.log.Next())
	l.dropped = 0
	l.charge()
	return freed
}

// dropFrom drops the messages in memory that never came to the disk.
func (l *diskLog) dropFrom(offset uint64) (freed int64) {
	for l.recent.len() > 0 && l.start+uint64(l.recent.len()) > offset {
		freed += l.recent.popBack().size
	}
	return freed
}

func (l *diskLog) read(offset uint64) stored {
	if offset >= l.start && offset < l.start+uint64(l.recent.len()) {
		return l.recent.at(int(offset - l.start))
	}
	m, err := l.readDisk(offset)
	if err != nil {
		if !l.damaged {
			l.logger.Error("message cannot be read, so its subscriptions stop before it", "topic", l.topic, "offset", offset, "error", err)
		}
		l.damaged = true
		return stored{offset: offset}
	}
	return m
}

// readDisk reads one message with the reader that stands before it, if there is one: subscriptions read in order.
func (l *diskLog) readDisk(offset uint64) (stored, error) {
	var reader *seglog.Reader
	for _, r := range l.readers {
		if r != nil && r.Offset() == offset {
			reader = r
			break
		}
	}
	if reader == nil {
		if old := l.readers[l.turn]; old != nil {
			_ = old.Close() // it was only read
		}
		reader = l.log.Reader(offset)
		l.readers[l.turn] = reader
		l.turn = (l.turn + 1) % len(l.readers)
	}
	record, err := reader.Next()
	if err != nil {
		return stored{}, err
	}
	m := &danubepb.StreamMessage{}
	if err := proto.Unmarshal(record, m); err != nil {
		return stored{}, fmt.Errorf("record %d is not a message: %w", offset, err)
	}
	if m.GetMsgId() == nil {
		return stored{}, fmt.Errorf("record %d is a message without an id", offset)
	}
	m.MsgId.TopicOffset = offset
	return stored{offset: offset, size: int64(len(record)) + messageOverhead, msg: m}, nil
}

func (l *diskLog) trim(offset uint64) (freed int64) {
	l.trimmed = max(l.trimmed, offset)
	return l.dropRecent(offset)
}

func (l *diskLog) shed(_, head uint64) int64 { return l.dropRecent(head) }

// dropRecent drops messages from memory, not from the disk.
func (l *diskLog) dropRecent(below uint64) (freed int64) {
	for l.start < below && l.recent.len() > 0 {
		freed += l.recent.pop().size
		l.start++
	}
	return freed
}

// close closes the files. The log is not used any more.
func (l *diskLog) close() error {
	var errs []error
	for _, r := range l.readers {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(append(errs, l.log.Close())...)
}
