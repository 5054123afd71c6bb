package pack

import (
	"errors"
	"fmt"
	"math"
)

// Errors of [Packer.Add]. The record is not in the pack then.
var (
	// ErrFull says that the pack has no room for the record: call [Packer.Finish] and add it again.
	ErrFull = errors.New("the pack is full")
	// ErrTooLarge says that no pack can hold the record: send it as a message of its own.
	ErrTooLarge = errors.New("the record is too large for a pack; send it as a message of its own")
	// ErrNested says that the record is a pack: send it as a message of its own, because readers do not look into it.
	ErrNested = errors.New("the record is a pack, and packs are not nested; send it as a message of its own")
	// ErrNotUTF8 says that key, event id or attributes of the record are not UTF-8 and so cannot be in JSON: use Framed.
	ErrNotUTF8 = errors.New("key, event id and attributes must be UTF-8 in a pack of JSON lines; the framed format takes any bytes")
)

// Limits say when a pack is full.
type Limits struct {
	Records int // most records; 0 is no limit
	Bytes   int // most bytes of the payload, at most MaxBytes; 0 is MaxBytes
}

// A Packer gathers records until a pack is full. It must not be used concurrently.
type Packer struct {
	format  Format
	limits  Limits
	encoder encoder
	count   int
}

// An encoder writes one pack after another.
type encoder interface {
	// add appends r unless the pack would then have more than room bytes; it changes nothing if it does not append.
	add(r Record, room int) (fits bool, err error)
	// size is the number of bytes that finish would return.
	size() int
	// finish returns the pack and begins another.
	finish() []byte
}

// NewPacker returns a packer for [Framed] or [NDJSON], and an error for another format or limits out of range.
func NewPacker(f Format, l Limits) (*Packer, error) {
	if l.Records < 0 || l.Records > math.MaxInt32 {
		return nil, fmt.Errorf("a pack of at most %d records: the limit must be from 0 (none) to %d", l.Records, math.MaxInt32)
	}
	if l.Bytes < 0 || l.Bytes > MaxBytes {
		return nil, fmt.Errorf("a pack of at most %d bytes: the limit must be from 0 (%[2]d) to %[2]d", l.Bytes, MaxBytes)
	}
	if l.Bytes == 0 {
		l.Bytes = MaxBytes
	}
	if l.Records == 0 {
		l.Records = math.MaxInt32
	}
	p := &Packer{format: f, limits: l}
	switch f {
	case Framed:
		p.encoder = new(framedEncoder)
	case NDJSON:
		p.encoder = new(lineEncoder)
	default:
		return nil, fmt.Errorf("packs cannot be written as %q; choose %q or %q", f, Framed, NDJSON)
	}
	return p, nil
}

// Add appends r to the pack and keeps nothing of it. The error is [ErrFull], [ErrTooLarge], [ErrNested] or [ErrNotUTF8]; the pack is
// then as it was.
func (p *Packer) Add(r Record) error {
	if _, ok := r.Attributes[FormatAttribute]; ok {
		return ErrNested
	}
	if p.count == p.limits.Records {
		return ErrFull
	}
	if r.EventID == "" {
		r.EventID = r.Attributes[EventIDAttribute]
	}
	fits, err := p.encoder.add(r, p.limits.Bytes)
	switch {
	case err != nil:
		return err
	case !fits && p.count == 0:
		return ErrTooLarge
	case !fits:
		return ErrFull
	}
	p.count++
	return nil
}

// Len is the number of records in the pack.
func (p *Packer) Len() int { return p.count }

// Size is the number of bytes that the payload has so far.
func (p *Packer) Size() int { return p.encoder.size() }

// Finish returns the payload and the attributes of a message that is the pack, and begins another pack. Both are the caller's. Without
// records it returns nil: there is no empty pack.
func (p *Packer) Finish() (payload []byte, attributes map[string]string) {
	if p.count == 0 {
		return nil, nil
	}
	attributes = marks(p.format, p.count)
	p.count = 0
	return p.encoder.finish(), attributes
}
