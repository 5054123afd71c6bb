package pack

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// A framedCursor reads a framed pack that openFramed has checked.
type framedCursor struct {
	payload []byte
	at      int // of the next record's payload
	heads   string
	head    int // place of the next head
}

func openFramed(payload []byte, count int) (cursor, *DamageError) {
	damaged := func(at, record int, format string, args ...any) (cursor, *DamageError) {
		return nil, &DamageError{Format: Framed, Byte: at, Record: record, Reason: fmt.Sprintf(format, args...)}
	}
	if len(payload) < framedPayload || string(payload[:len(framedMagic)]) != framedMagic {
		return damaged(0, 0, "its first bytes are %q and must be %q, the length being %d or more",
			payload[:min(len(payload), len(framedMagic))], framedMagic, framedPayload)
	}
	if n := binary.LittleEndian.Uint32(payload[framedCount:]); n != uint32(count) {
		return damaged(framedCount, 0, "its header says %d records and the attribute %s %d", n, CountAttribute, count)
	}
	headBytes := int64(binary.LittleEndian.Uint32(payload[framedHeads:]))
	if headBytes > int64(len(payload)-framedPayload) {
		return damaged(framedHeads, 0, "its header says %d bytes of heads and %d follow", headBytes, len(payload)-framedPayload)
	}
	end := len(payload) - int(headBytes)
	c := framedCursor{payload: payload[:end:end], at: framedPayload, heads: string(payload[end:])}
	at, head, sum := c.at, 0, uint32(0)
	for i := range count {
		h, next, reason := parseHead(c.heads, head)
		if reason != "" {
			return damaged(end+next, i, "%s", reason)
		}
		if h.payload > uint64(end-at) {
			return damaged(end+head, i, "its payload has %d bytes and %d are left", h.payload, end-at)
		}
		sum = crc32.Update(sum, castagnoli, payload[end+head:end+next-checksumBytes])
		sum = crc32.Update(sum, castagnoli, payload[at:at+int(h.payload)])
		if sum != h.sum {
			return damaged(at, i, "the checksum at byte %d differs", end+next-checksumBytes)
		}
		at, head = at+int(h.payload), next
	}
	if at != end || head != len(c.heads) {
		return damaged(at, count, "all records were read, but %d bytes of payload and %d of heads are left", end-at, len(c.heads)-head)
	}
	return &c, nil
}

func (c *framedCursor) take() (h head, payload []byte) {
	h, c.head, _ = parseHead(c.heads, c.head) // it was checked
	end := c.at + int(h.payload)
	payload = c.payload[c.at:end:end]
	c.at = end
	return h, payload
}

func (c *framedCursor) skip() { c.take() }

func (c *framedCursor) read() Record {
	h, payload := c.take()
	r := Record{Key: h.key, EventID: h.eventID, Payload: payload}
	if h.flags&hasPublishTime != 0 {
		r.PublishTime = time.UnixMilli(h.publishTime)
	}
	if h.flags&hasAttributes != 0 {
		r.Attributes = h.readAttributes()
	}
	return r.liftEventID()
}
