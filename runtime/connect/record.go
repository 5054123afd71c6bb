package connect

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// EventIDAttribute is the message attribute that carries a record's event id over the broker.
const EventIDAttribute = "danube-event-id"

// A Record is one message of a Danube topic.
//
// A sink receives records with every field set that the message had. A source sets Value and what it knows of Topic, Key,
// Attributes and PublishTime; the other fields are ignored.
type Record struct {
	// Topic is the Danube topic in the form /namespace/name, never with a partition suffix. A source may leave it empty: the
	// record then goes to the one topic that the configuration names.
	Topic string
	// Partition is the partition's number, -1 on a topic without partitions. Sources leave it alone: Key decides.
	Partition int
	// Offset is the message's place in its partition, from 0. The broker starts again at 0 after a restart, so it identifies
	// nothing over time: use EventID.
	Offset uint64
	// Key is the routing key; records of one key keep their order. Empty means none.
	Key string
	// Value is the payload, not decoded and not copied. The runtime owns it: a sink must not change it or keep it after Write.
	Value []byte
	// Attributes are the message's string attributes; nil when there are none. A sink must not change the map.
	Attributes map[string]string
	// PublishTime is when the producer sent the message, by its clock, in whole milliseconds. Zero in a source means now.
	PublishTime time.Time
	// Producer is the name of the producer that sent the message.
	Producer string
	// Schema names the registered schema of Value; zero when the message has none.
	Schema Schema
	// To is the target that the record's route names (`to` in the configuration: a collection, a table, a path). Empty when the
	// configuration has none. Sinks only.
	To string
}

// Schema is a registered schema's id and version. The id belongs to the subject: all its versions share it.
type Schema struct {
	ID      uint64
	Version uint32
}

// EventID identifies the record across redelivery, replay and broker restarts: the attribute danube-event-id where its producer
// set one, else 32 hexadecimal digits derived from topic, partition, offset, publish time and producer.
func (r Record) EventID() string {
	if id := r.Attributes[EventIDAttribute]; id != "" {
		return id
	}
	var b []byte
	b = append(append(b, r.Topic...), 0)
	b = append(append(b, r.Producer...), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Partition))
	b = binary.BigEndian.AppendUint64(b, r.Offset)
	b = binary.BigEndian.AppendUint64(b, uint64(r.PublishTime.UnixMilli()))
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
