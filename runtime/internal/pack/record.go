package pack

import (
	"strconv"
	"time"
)

// A Record is one record of a pack.
type Record struct {
	// Index is the record's place in its pack, from 0. A [Packer] ignores it.
	Index int
	// Key is the record's own routing key; empty means none. Records of JSON lines and arrays that are not ours have the message's.
	Key string
	// Payload is a slice of the message's payload, unless an NDJSON pack had to encode it. It must not be changed.
	Payload []byte
	// Attributes are the record's own, never with [EventIDAttribute]; nil when there are none. Records of JSON lines and arrays that are
	// not ours share a copy of the message's attributes, which must not be changed.
	Attributes map[string]string
	// EventID is what the producer gave the record; empty when it gave none, see [Record.ID]. A [Packer] takes the attribute
	// [EventIDAttribute] where it is empty.
	EventID string
	// PublishTime is in whole milliseconds; zero when the record has none of its own, so that the message's holds.
	PublishTime time.Time
}

// ID identifies the record over redelivery and replay: its own event id, else the message's and the index, as in "4711#3". The second
// is only as stable as the message's id.
func (r Record) ID(message string) string {
	if r.EventID != "" {
		return r.EventID
	}
	return message + "#" + strconv.Itoa(r.Index)
}

// liftEventID moves an event id among the attributes, where another implementation may have put it, to its field.
func (r Record) liftEventID() Record {
	id, ok := r.Attributes[EventIDAttribute]
	if !ok {
		return r
	}
	if r.EventID == "" {
		r.EventID = id
	}
	delete(r.Attributes, EventIDAttribute)
	if len(r.Attributes) == 0 {
		r.Attributes = nil
	}
	return r
}
