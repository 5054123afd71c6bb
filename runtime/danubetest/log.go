package danubetest

import "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"

// stored is a message in a log. The message is shared by all who deliver it and never changed.
type stored struct {
	offset uint64
	size   int64 // bytes charged to the memory budget
	msg    *danubepb.StreamMessage
}

// A messageLog keeps the messages of one topic in offset order. All calls are made with the topic locked and do not
// block.
type messageLog interface {
	// next is the offset that the next message gets.
	next() uint64
	// append stores msg and returns its offset; an error means that it is not stored.
	append(msg *danubepb.StreamMessage, size int64) (uint64, commit, error)
	// forget drops what append stored and commit could not make safe, and returns the bytes of memory that it freed.
	forget() int64
	// first is the lowest offset that read still finds; it is next when the log is empty.
	first() uint64
	// read returns the message at offset, which must be within first and next. It is without msg when the log is damaged there,
	// which the log has told; nobody may pass over it.
	read(offset uint64) stored
	// trim forgets every message below offset and returns the bytes of memory that it freed.
	trim(offset uint64) int64
	// shed frees as much memory as it can of messages below the head, of which those from floor on are still needed.
	shed(floor, head uint64) int64
}

// commit returns when a message, and so every one before it, is as safe as its log makes it. It is called with nothing locked.
type commit func() error

// memoryLog is a messageLog that lives as long as the process.
type memoryLog struct {
	start    uint64 // offset of the first message in messages
	messages fifo[stored]
}

func (l *memoryLog) first() uint64 { return l.start }

func (l *memoryLog) next() uint64 { return l.start + uint64(l.messages.len()) }

func (l *memoryLog) append(msg *danubepb.StreamMessage, size int64) (uint64, commit, error) {
	offset := l.next()
	l.messages.push(stored{offset: offset, size: size, msg: msg})
	return offset, inMemory, nil
}

// inMemory is the commit of a log that makes nothing safer.
func inMemory() error { return nil }

func (l *memoryLog) forget() int64 { return 0 }

func (l *memoryLog) shed(floor, _ uint64) int64 { return l.trim(floor) }

func (l *memoryLog) read(offset uint64) stored { return l.messages.at(int(offset - l.start)) }

func (l *memoryLog) trim(offset uint64) (freed int64) {
	for l.start < offset && l.messages.len() > 0 {
		freed += l.messages.pop().size
		l.start++
	}
	return freed
}
