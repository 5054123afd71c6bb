package pack

import "maps"

// A Message is what [Open] needs of a Danube message.
type Message struct {
	Key        string
	Payload    []byte
	Attributes map[string]string
}

// A Reader hands out the records of a pack in their order, each once. It must not be used concurrently, and keeps the payload.
type Reader struct {
	cursor cursor
	next   int
	count  int
}

// A cursor reads records one after the other from a payload that was checked.
type cursor interface {
	read() Record
	skip()
}

// Open checks m and returns a reader of its records, or nil when m is no pack: a message without marks in mode [Auto], any in mode
// [Off], and one without payload in the modes [Lines] and [Array], because that is a tombstone.
//
// The error, if any, is a [DamageError]; no record was handed out then. m.Payload must not change afterwards.
func Open(m Message, mode Mode) (*Reader, error) {
	if mode == Off {
		return nil, nil
	}
	f, count, marked, err := readMarks(m.Attributes)
	switch {
	case err != nil:
		return nil, err
	case !marked && (len(m.Payload) == 0 || mode != Lines && mode != Array):
		return nil, nil
	}
	var c cursor
	switch {
	case f == Framed:
		c, err = openFramed(m.Payload, count)
	case f == NDJSON:
		c, err = openEnvelopes(m.Payload, count)
	case mode == Lines:
		c, count, err = openLines(m.Payload, m.shared())
	default:
		c, count, err = openArray(m.Payload, m.shared())
	}
	if err != nil {
		return nil, err
	}
	return &Reader{cursor: c, count: count}, nil
}

// shared is what each record of a message without marks has in common with the others. The message's event id is not: it would make all
// records look like copies of one.
func (m Message) shared() Record {
	r := Record{Key: m.Key, Attributes: m.Attributes}
	if _, ok := m.Attributes[EventIDAttribute]; ok {
		r.Attributes = maps.Clone(m.Attributes)
		delete(r.Attributes, EventIDAttribute)
	}
	if len(r.Attributes) == 0 {
		r.Attributes = nil
	}
	return r
}

// Len is the number of records in the pack: at least 1 if it was marked, perhaps 0 if it was not, as in the array "[]".
func (r *Reader) Len() int { return r.count }

// Next returns the next record; ok is false once there is none.
func (r *Reader) Next() (record Record, ok bool) {
	if r.next == r.count {
		return Record{}, false
	}
	record = r.cursor.read()
	record.Index = r.next
	r.next++
	return record, true
}

// Skip passes over the next n records, or all that are left.
func (r *Reader) Skip(n int) {
	for ; n > 0 && r.next < r.count; n-- {
		r.cursor.skip()
		r.next++
	}
}
