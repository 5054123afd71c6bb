package main

import (
	"hash/crc32"
	"strconv"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// Attributes of the records, beside the event id.
const (
	attrPath   = "file.path"   // the file under the path by which it was found first; rotation does not change it
	attrOffset = "file.offset" // of the record's first byte in the file
	attrPart   = "file.part"   // number of the piece, from 1; only on pieces of a line longer than max_line_bytes
	attrMore   = "file.more"   // "true" on every piece but the last
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A piece is a line, or a part of a very long one.
type piece struct {
	from   *content
	offset int64
	line   []byte
	part   int // number of the part, from 1; 0: a whole line
	more   bool
}

// A batch collects what one Read returns. It is used again for the next one.
type batch struct {
	maxLines, maxBytes int
	skipEmpty          bool

	pieces []piece
	bytes  int
}

func (b *batch) full() bool { return len(b.pieces) >= b.maxLines || b.bytes >= b.maxBytes }

// add appends the line at the offset of c.
func (b *batch) add(c *content, line []byte, more bool) {
	part := 0
	if c.part > 0 || more {
		part = c.part + 1
	}
	if b.skipEmpty && len(line) == 0 && part == 0 {
		return
	}
	b.pieces = append(b.pieces, piece{from: c, offset: c.offset, line: line, part: part, more: more})
	b.bytes += len(line)
}

// take empties the batch and returns its pieces as records.
func (b *batch) take(key string) []connect.Record {
	records := b.records(key)
	clear(b.pieces) // lets go of the blocks
	b.pieces, b.bytes = b.pieces[:0], 0
	return records
}

// records turns the pieces into records. Their ids and offsets share one string, which spares two allocations a record.
func (b *batch) records(key string) []connect.Record {
	type span struct{ id, offset, end int }
	text := make([]byte, 0, 48*len(b.pieces))
	spans := make([]span, len(b.pieces))
	for i, p := range b.pieces {
		spans[i].id = len(text)
		text = append(append(text, p.from.id...), '-')
		spans[i].offset = len(text)
		text = strconv.AppendInt(text, p.offset, 10)
		spans[i].end = len(text)
		// The line's checksum keeps apart lines of two contents that could not be told apart, after a lost position for example.
		text = append(text, '-')
		text = strconv.AppendUint(text, uint64(crc32.Checksum(p.line, castagnoli)), 16)
	}
	all := string(text)
	records := make([]connect.Record, len(b.pieces))
	for i, p := range b.pieces {
		end := len(all)
		if i+1 < len(spans) {
			end = spans[i+1].id
		}
		attributes := map[string]string{
			connect.EventIDAttribute: all[spans[i].id:end],
			attrPath:                 p.from.name,
			attrOffset:               all[spans[i].offset:spans[i].end],
		}
		if p.part > 0 {
			attributes[attrPart] = strconv.Itoa(p.part)
		}
		if p.more {
			attributes[attrMore] = "true"
		}
		records[i] = connect.Record{Value: p.line, Attributes: attributes}
		if key == "path" {
			records[i].Key = p.from.name
		}
	}
	return records
}
