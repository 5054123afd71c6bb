package danube

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of the hot paths are written and read field by field: generated code makes a struct, a nested one and a pointer per
// optional field of each message, which at 50,000 a second is most of what the client allocates.

// Field numbers of danube.StreamMessage and danube.MsgID.
const (
	fieldRequest    protowire.Number = 1 // also of AckRequest and NackRequest
	fieldMsgID      protowire.Number = 2 // also of AckRequest and NackRequest
	fieldPayload    protowire.Number = 3
	fieldPublished  protowire.Number = 4
	fieldProducer   protowire.Number = 5
	fieldAttributes protowire.Number = 7
	fieldSchemaID   protowire.Number = 8
	fieldSchema     protowire.Number = 9
	fieldKey        protowire.Number = 10

	msgProducer protowire.Number = 1
	msgTopic    protowire.Number = 2
	msgBroker   protowire.Number = 3
	msgOffset   protowire.Number = 5 // there is no field 4

	ackSubscription protowire.Number = 3
	nackDelay       protowire.Number = 4
	nackReason      protowire.Number = 5

	entryKey   protowire.Number = 1 // of a map entry
	entryValue protowire.Number = 2
)

// A msgID is what the broker knows a message by.
type msgID struct {
	producer      uint64
	topic, broker string
	offset        uint64
}

func (m *msgID) size() int {
	n := 1 + protowire.SizeVarint(m.producer) + 1 + protowire.SizeVarint(m.offset)
	return n + 1 + protowire.SizeBytes(len(m.topic)) + 1 + protowire.SizeBytes(len(m.broker))
}

func (m *msgID) append(b []byte) []byte {
	b = protowire.AppendTag(b, fieldMsgID, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(m.size()))
	b = appendUint(b, msgProducer, m.producer)
	b = appendString(b, msgTopic, m.topic)
	b = appendString(b, msgBroker, m.broker)
	return appendUint(b, msgOffset, m.offset)
}

// appendSend appends the request that publishes m.
func appendSend(b []byte, m *Message, id *msgID, request uint64, producer string) []byte {
	b = appendUint(b, fieldRequest, request)
	b = id.append(b)
	b = protowire.AppendTag(b, fieldPayload, protowire.BytesType)
	b = protowire.AppendBytes(b, m.Payload)
	b = appendUint(b, fieldPublished, uint64(m.PublishTime.UnixMilli()))
	b = appendString(b, fieldProducer, producer)
	for k, v := range m.Attributes {
		b = protowire.AppendTag(b, fieldAttributes, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(2+protowire.SizeBytes(len(k))+protowire.SizeBytes(len(v))))
		b = appendString(b, entryKey, k)
		b = appendString(b, entryValue, v)
	}
	if m.SchemaID != 0 {
		b = appendUint(b, fieldSchemaID, m.SchemaID)
		b = appendUint(b, fieldSchema, uint64(m.SchemaVersion))
	}
	if m.Key != "" {
		b = appendString(b, fieldKey, m.Key)
	}
	return b
}

// appendAck appends the request that acknowledges a message.
func appendAck(b []byte, id *msgID, request uint64, subscription string) []byte {
	b = appendUint(b, fieldRequest, request)
	b = id.append(b)
	return appendString(b, ackSubscription, subscription)
}

// appendNack appends the request that gives a message back.
func appendNack(b []byte, id *msgID, request uint64, subscription string, delay time.Duration, reason string) []byte {
	b = appendAck(b, id, request, subscription)
	b = appendUint(b, nackDelay, uint64(delay.Milliseconds()))
	if reason != "" {
		b = appendString(b, nackReason, reason)
	}
	return b
}

func appendUint(b []byte, n protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
}

func appendString(b []byte, n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

// A decoder reads delivered messages of one partition; what it makes keeps nothing of its input.
type decoder struct {
	topic     string // without partition suffix
	partition int
	producer  string // of the message before: nearly always that of the next one
}

func (d *decoder) decode(b []byte) (Message, error) {
	m := Message{Topic: d.topic, Partition: d.partition, PublishTime: time.UnixMilli(0)}
	err := eachField(b, func(n protowire.Number, v uint64, data []byte) error {
		switch n {
		case fieldRequest:
			m.requestID = v
		case fieldMsgID:
			return eachField(data, func(n protowire.Number, v uint64, _ []byte) error {
				if n == msgOffset {
					m.Offset = v
				}
				return nil
			})
		case fieldPayload:
			m.Payload = append(make([]byte, 0, len(data)), data...)
		case fieldPublished:
			m.PublishTime = time.UnixMilli(int64(v))
		case fieldProducer:
			if d.producer != string(data) {
				d.producer = string(data)
			}
			m.Producer = d.producer
		case fieldAttributes:
			return m.setAttribute(data)
		case fieldSchemaID:
			m.SchemaID = v
		case fieldSchema:
			m.SchemaVersion = uint32(v)
		case fieldKey:
			m.Key = string(data)
		}
		return nil
	})
	if err != nil {
		return Message{}, fmt.Errorf("delivered message cannot be read: %w", err)
	}
	return m, nil
}

func (m *Message) setAttribute(entry []byte) error {
	var key, value string
	err := eachField(entry, func(n protowire.Number, _ uint64, data []byte) error {
		switch n {
		case entryKey:
			key = string(data)
		case entryValue:
			value = string(data)
		}
		return nil
	})
	if m.Attributes == nil {
		m.Attributes = make(map[string]string)
	}
	m.Attributes[key] = value
	return err
}

// eachField calls f with the varint or the bytes of each field and passes over fields of other kinds.
func eachField(b []byte, f func(n protowire.Number, v uint64, data []byte) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if kind != protowire.VarintType && kind != protowire.BytesType {
			continue
		}
		if err := f(n, v, data); err != nil {
			return err
		}
	}
	return nil
}
