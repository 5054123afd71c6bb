package connect

import (
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// A message is one Danube message on its way from the broker to the target. Its custody guards what changes.
type message struct {
	danube.Delivery // of a message that was read from the spool only what a record needs

	taken   time.Time // from the broker, or from the spool
	left    int       // records of it that are not settled
	settled bool      // every record of it is written or put away
	keeper  keeper
	seq     uint64 // place in the spool, once it was appended
	fed     bool   // it is in a lane; otherwise it will be read from the spool when its turn comes
	release bool   // whoever settled it acknowledges it
	known   bool   // the spool had it before: another message stands for its records

	prev, next *message // in custody's list of what the broker waits for
}

// A keeper is who answers for a message.
type keeper int

const (
	keptByBroker keeper = iota // it delivers the message again unless it is acknowledged
	changing                   // the broker still, and the spool soon
	keptBySpool                // the message survives the end of the process
)

// An item is one record of a message in a lane.
type item struct {
	record  Record
	message *message
}

// A batch is what one Write gets: records, and the message that each belongs to.
type batch struct {
	records  []Record
	messages []*message
}

func (b *batch) add(i item) {
	b.records = append(b.records, i.record)
	b.messages = append(b.messages, i.message)
}

func (b batch) len() int { return len(b.records) }

func (b batch) slice(from, to int) batch {
	return batch{records: b.records[from:to], messages: b.messages[from:to]}
}

// reset empties b and keeps its room; it forgets the records, which may be large.
func (b *batch) reset() {
	clear(b.records)
	clear(b.messages)
	b.records, b.messages = b.records[:0], b.messages[:0]
}

// A messageList holds messages in order of their arrival. The zero value is empty.
type messageList struct {
	head, tail *message
	n          int
}

func (l *messageList) push(m *message) {
	m.prev, m.next = l.tail, nil
	if l.tail == nil {
		l.head = m
	} else {
		l.tail.next = m
	}
	l.tail = m
	l.n++
}

func (l *messageList) remove(m *message) {
	if m.prev == nil {
		l.head = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		l.tail = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.prev, m.next = nil, nil
	l.n--
}
