package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"
	"time"
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var order = binary.LittleEndian

const (
	segmentSuffix = ".seg"
	segmentMagic  = "seglog01"
	headerSize    = 8 + 8 + 8 + 8 + 8 + 4
	frameSize     = 4 + 4 + 8 + 4
	closedName    = "closed"
	closedMagic   = "seglogcl"
	closedSize    = 8 + 8 + 8 + 4
)

func segmentName(base uint64) string { return fmt.Sprintf("%020d%s", base, segmentSuffix) }

// segmentBase reads the offset from the name of a segment file.
func segmentBase(name string) (base uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	base, err := strconv.ParseUint(digits, 10, 64)
	return base, err == nil
}

// header stands at the begin of a segment file: magic, base, created, previous base, previous size, checksum.
type header struct {
	base     uint64    // offset of the first record
	created  time.Time // no record before this segment is newer
	prevBase uint64    // the segment before
	prevSize int64     // its size in bytes; 0 when there was none
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, segmentMagic...)
	b = order.AppendUint64(b, h.base)
	b = order.AppendUint64(b, uint64(h.created.UnixNano()))
	b = order.AppendUint64(b, h.prevBase)
	b = order.AppendUint64(b, uint64(h.prevSize))
	return order.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeHeader reads a header; ok is false when it is not one.
func decodeHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || string(b[:8]) != segmentMagic ||
		order.Uint32(b[headerSize-4:]) != crc32.Checksum(b[:headerSize-4], castagnoli) {
		return header{}, false
	}
	return header{
		base:     order.Uint64(b[8:]),
		created:  time.Unix(0, int64(order.Uint64(b[16:]))),
		prevBase: order.Uint64(b[24:]),
		prevSize: int64(order.Uint64(b[32:])),
	}, true
}

// frame stands before each record: checksum over all that follows, length, offset, unsynced.
type frame struct {
	sum      uint32
	size     uint32
	offset   uint64
	unsynced uint32 // how many records right before this one were not known to be synced when it was written
}

// appendFrame appends a whole record to b.
func appendFrame(b []byte, offset, synced uint64, record []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = order.AppendUint32(b, uint32(len(record)))
	b = order.AppendUint64(b, offset)
	b = order.AppendUint32(b, uint32(min(offset-synced, math.MaxUint32)))
	b = append(b, record...)
	order.PutUint32(b[at:], crc32.Checksum(b[at+4:], castagnoli))
	return b
}

// decodeFrame reads the fields of a frame from at least frameSize bytes.
func decodeFrame(b []byte) frame {
	return frame{sum: order.Uint32(b), size: order.Uint32(b[4:]), offset: order.Uint64(b[8:]), unsynced: order.Uint32(b[16:])}
}

// matches says whether b, which begins with the frame, holds the record unchanged.
func (f frame) matches(b []byte) bool {
	return f.sum == crc32.Checksum(b[4:frameSize+int(f.size)], castagnoli)
}

// synced is an offset below which every record was synced when this one was written.
func (f frame) synced() uint64 {
	if f.unsynced == math.MaxUint32 {
		return 0
	}
	return f.offset - min(uint64(f.unsynced), f.offset)
}

// closedMark stands in the file that a closed log has: where it ends.
type closedMark struct {
	next uint64
	size int64 // of the last segment file
}

func (m closedMark) encode() []byte {
	b := make([]byte, 0, closedSize)
	b = append(b, closedMagic...)
	b = order.AppendUint64(b, m.next)
	b = order.AppendUint64(b, uint64(m.size))
	return order.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeClosedMark(b []byte) (m closedMark, ok bool) {
	if len(b) != closedSize || string(b[:8]) != closedMagic ||
		order.Uint32(b[closedSize-4:]) != crc32.Checksum(b[:closedSize-4], castagnoli) {
		return closedMark{}, false
	}
	return closedMark{next: order.Uint64(b[8:]), size: int64(order.Uint64(b[16:]))}, true
}
