package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// version of the record's format.
const version = 1

// An identity tells messages apart over all lives of a broker.
type identity [16]byte

func identify(m *danube.Message) identity {
	var room [256]byte
	b := append(append(room[:0], m.Topic...), 0)
	b = append(append(b, m.Producer...), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Partition))
	b = binary.BigEndian.AppendUint64(b, m.Offset)
	b = binary.BigEndian.AppendUint64(b, uint64(m.PublishTime.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, m.RequestID())
	sum := sha256.Sum256(b)
	return identity(sum[:16])
}

var errRecord = errors.New("the record is not one of this version")

// appendRecord writes version, identity, time of appending and the message's fields; the payload is the rest.
func appendRecord(b []byte, id identity, m *danube.Message, now time.Time) []byte {
	b = append(append(b, version), id[:]...)
	b = binary.AppendVarint(b, now.UnixMilli())
	b = binary.AppendVarint(b, int64(m.Partition))
	b = binary.AppendUvarint(b, m.Offset)
	b = binary.AppendVarint(b, m.PublishTime.UnixMilli())
	b = binary.AppendUvarint(b, m.SchemaID)
	b = binary.AppendUvarint(b, uint64(m.SchemaVersion))
	for _, text := range []string{m.Topic, m.Key, m.Producer} {
		b = appendString(b, text)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Attributes)))
	if len(m.Attributes) > 0 { // no iterator is made for none
		for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
			b = appendString(appendString(b, name), m.Attributes[name])
		}
	}
	return append(b, m.Payload...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func identityIn(record []byte) (identity, error) {
	if len(record) < 17 || record[0] != version {
		return identity{}, errRecord
	}
	return identity(record[1:17]), nil
}

// decode reads a record of which it keeps nothing. Topic and producer are those of like where they are equal, since nearly all records
// have the same.
func decode(record []byte, like *danube.Message) (m danube.Message, appended time.Time, err error) {
	if _, err := identityIn(record); err != nil {
		return m, appended, err
	}
	d := decoder{rest: record[17:]}
	appended = time.UnixMilli(d.varint())
	m.Partition, m.Offset = int(d.varint()), d.uvarint()
	m.PublishTime = time.UnixMilli(d.varint())
	m.SchemaID, m.SchemaVersion = d.uvarint(), uint32(d.uvarint())
	m.Topic, m.Key, m.Producer = d.text(like.Topic), d.text(""), d.text(like.Producer)
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		if m.Attributes == nil {
			m.Attributes = make(map[string]string)
		}
		name := d.text("")
		m.Attributes[name] = d.text("")
	}
	if d.bad {
		return danube.Message{}, time.Time{}, errRecord
	}
	m.Payload = append([]byte(nil), d.rest...)
	return m, appended, nil
}

// A decoder takes fields from the front of rest; bad says that one was not there.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, n = true, 0
	}
	d.rest = d.rest[n:]
}

// text takes a string, which is like if it is equal.
func (d *decoder) text(like string) string {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	if string(b) == like { // the comparison makes no string
		return like
	}
	return string(b)
}
