package danube

import "time"

// A Message is what producers send and consumers receive.
type Message struct {
	// Topic is the topic's name without partition suffix, Partition the partition's number, -1 on a plain topic. Send ignores both.
	Topic     string
	Partition int
	// Offset is the message's place in its partition, from 0; it starts again at 0 after a broker restart. Send ignores it: the
	// broker does not say at which offset it stored a message.
	Offset uint64
	// Key is the routing key; empty means none.
	Key string
	// Payload is the message itself. Consumers own what they receive; Send does not keep or change it.
	Payload []byte
	// Attributes are free text; keys that start with x- belong to the broker's dead letters.
	Attributes map[string]string
	// PublishTime is in whole milliseconds by the producer's clock. Send puts the current time where it is zero.
	PublishTime time.Time
	// Producer is the sending producer's name, with partition suffix. Send ignores it.
	Producer string
	// SchemaID and SchemaVersion name the registered schema; 0 is none.
	SchemaID      uint64
	SchemaVersion uint32

	requestID uint64 // the producer's counter, part of what tells two messages apart
}

// RequestID is the sending producer's counter of messages, 0 in a message that was not received. Together with partition, offset, publish
// time and producer it tells a message apart from all others, also over restarts of the broker, when offsets begin anew.
func (m *Message) RequestID() uint64 { return m.requestID }

// Size is the number of bytes of payload, key and attributes.
func (m *Message) Size() int {
	n := len(m.Payload) + len(m.Key)
	for k, v := range m.Attributes {
		n += len(k) + len(v)
	}
	return n
}
