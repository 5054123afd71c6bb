package danubetest

import "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"

// stored is a message in a log. The message is shared by all who deliver it and never changed.
type stored struct {
	offset uint64
	size   int64 // bytes charged to the memory budget
	msg    *danubepb.StreamMessage
}

// A messageLog keeps the messages of one topic in offset order. All calls but commit are made with the topic locked and do not
// block.
type messageLog interface {
	// next is the offset that the next message gets.
	next() uint64
	// append stores msg at offset next; an error means that it is not stored.
	append(msg *danubepb.StreamMessage, size int64) error
	// commit returns when the message at offset, and so every one before it, is as safe as this log makes it.
	commit(offset uint64) error
	// first is the lowest offset that read still finds; it is next when the log is empty.
	first() uint64
	// read returns the message at offset, which must be within first and next.
	read(offset uint64) stored
	// trim forgets every message below offset and returns the bytes that it freed.
	trim(offset uint64) int64
}

// memoryLog is a messageLog that lives as long as the process.
type memoryLog struct {
	start    uint64 // offset of the first message in messages
	messages fifo[stored]
}

func (l *memoryLog) first() uint64 { return l.start }

func (l *memoryLog) next() uint64 { return l.start + uint64(l.messages.len()) }

func (l *memoryLog) append(msg *danubepb.StreamMessage, size int64) error {
	l.messages.push(stored{offset: l.next(), size: size, msg: msg})
	return nil
}

func (l *memoryLog) commit(uint64) error { return nil }

func (l *memoryLog) read(offset uint64) stored { return l.messages.at(int(offset - l.start)) }

func (l *memoryLog) trim(offset uint64) (freed int64) {
	for l.start < offset && l.messages.len() > 0 {
		freed += l.messages.pop().size
		l.start++
	}
	return freed
}
