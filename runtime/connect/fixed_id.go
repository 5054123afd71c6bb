package connect

import (
	"crypto/sha256"
	"encoding/hex"
)

// A FixedID stands for an event id where a target wants keys of one length: an id is any text, of any length, and what a producer wrote
// into it may be no good as a key. Equal ids give equal keys for ever, on every machine.
//
// It is the first half of the id's SHA-256. That two of a million million ids share a key has a chance of about 1 in 10^15, and nobody
// can make such ids on purpose. Keys are spread evenly, so they carry no order.
//
// As bytes it is id[:].
type FixedID [16]byte

// NewFixedID returns the key that stands for an event id, mostly that of [Record.EventID].
func NewFixedID(eventID string) FixedID {
	sum := sha256.Sum256([]byte(eventID))
	return FixedID(sum[:16])
}

// String returns the key as 32 lower-case hexadecimal digits.
func (id FixedID) String() string { return hex.EncodeToString(id[:]) }

// UUID returns the key as the text of a UUID, for columns of that type: version 8 of RFC 9562, which is the version for a hash of one's
// own. Six bits give way to version and variant, so 122 of the 128 are left.
func (id FixedID) UUID() string {
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	b := make([]byte, 0, 36)
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}
