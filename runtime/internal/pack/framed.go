package pack

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
)

// A framed pack begins with these bytes, the last of which is the version, and then has two numbers of four bytes: of records, and of
// bytes of their heads. The payloads follow, one after the other, and then the heads.
//
// The heads lie together so that one string of them serves all keys, ids and attributes of a pack: a record allocates nothing for them.
const (
	framedMagic   = "DPK\x01"
	framedCount   = 4
	framedHeads   = 8
	framedPayload = 12
)

// Flags of a head. A set bit that is not here is an error: a reader that passed over it would lose what it stands for.
const (
	hasKey = 1 << iota
	hasEventID
	hasPublishTime
	hasAttributes
	knownFlags = 1<<iota - 1
)

const (
	checksumBytes = 4
	minHeadBytes  = 1 + 1 + checksumBytes // flags, length of the payload, checksum
)

// Each record's checksum goes over its head without the checksum, its payload, and all of that of the records before it. So the first that
// differs names the damaged record, and records that were exchanged, doubled or left out show as well. The checksums themselves are not
// summed: a CRC over bytes and their own CRC is the same whatever the bytes are, so nothing would be carried from record to record.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A framedEncoder writes a framed pack. The zero value is an empty one.
type framedEncoder struct {
	body  []byte // header and payloads
	heads []byte
	count int
	sum   uint32
	names []string // scratch
}

func (e *framedEncoder) size() int { return max(len(e.body), framedPayload) + len(e.heads) }

func (e *framedEncoder) add(r Record, room int) (fits bool, err error) {
	if e.size()+minHeadBytes+len(r.Payload) > room {
		return false, nil
	}
	start := len(e.heads)
	e.appendHead(&r)
	if e.size()+checksumBytes+len(r.Payload) > room {
		e.heads = e.heads[:start]
		return false, nil
	}
	if len(e.body) == 0 {
		e.body = append(e.body, make([]byte, framedPayload)...)
	}
	e.body = append(e.body, r.Payload...)
	e.sum = crc32.Update(e.sum, castagnoli, e.heads[start:])
	e.sum = crc32.Update(e.sum, castagnoli, r.Payload)
	e.heads = binary.LittleEndian.AppendUint32(e.heads, e.sum)
	e.count++
	return true, nil
}

// appendHead appends r's head without the checksum.
func (e *framedEncoder) appendHead(r *Record) {
	at := len(e.heads)
	b := binary.AppendUvarint(append(e.heads, 0), uint64(len(r.Payload)))
	if r.Key != "" {
		b[at] |= hasKey
		b = appendString(b, r.Key)
	}
	if r.EventID != "" {
		b[at] |= hasEventID
		b = appendString(b, r.EventID)
	}
	if !r.PublishTime.IsZero() {
		b[at] |= hasPublishTime
		b = binary.AppendVarint(b, r.PublishTime.UnixMilli())
	}
	e.names = attributeNames(e.names, r.Attributes)
	if len(e.names) > 0 {
		b[at] |= hasAttributes
		b = binary.AppendUvarint(b, uint64(len(e.names)))
		for _, name := range e.names {
			b = appendString(appendString(b, name), r.Attributes[name])
		}
	}
	e.heads = b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// attributeNames puts the names of attributes into names, sorted, so that equal records are equal bytes; the event id is none of them.
func attributeNames(names []string, attributes map[string]string) []string {
	names = names[:0]
	for name := range maps.Keys(attributes) {
		if name != EventIDAttribute {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// finish returns the pack and leaves e empty, with room for a pack of the same size.
func (e *framedEncoder) finish() []byte {
	b := append(e.body, e.heads...)
	copy(b, framedMagic)
	binary.LittleEndian.PutUint32(b[framedCount:], uint32(e.count))
	binary.LittleEndian.PutUint32(b[framedHeads:], uint32(len(e.heads)))
	*e = framedEncoder{body: make([]byte, 0, len(b)), heads: e.heads[:0], names: e.names}
	return b
}
