package pack

import (
	"fmt"
	"strconv"
)

// Attributes of a Danube message that is a pack.
const (
	// FormatAttribute holds the format and its version: "framed/1" or "ndjson/1".
	FormatAttribute = "danube-pack"
	// CountAttribute holds the number of records in decimal digits, at least 1.
	CountAttribute = "danube-pack-count"
)

// EventIDAttribute is the attribute in which a message that is no pack carries its event id. In a pack the id of a record travels as a
// field of its own.
const EventIDAttribute = "danube-event-id"

// MaxBytes is the largest payload of a pack. A request to the broker may have 4 MiB; the rest is room for attributes, key and names.
const MaxBytes = 4<<20 - 128<<10

// A Format is the way in which records lie in a pack, with its version, as [FormatAttribute] holds it.
type Format string

const (
	// Framed is binary and carries any bytes; each record has a checksum.
	Framed Format = "framed/1"
	// NDJSON is one JSON object in a line for each record, which other programs read without a library.
	NDJSON Format = "ndjson/1"

	// These two are not written by a Packer: they are what other producers send, without marks.
	plainLines Format = "json lines"
	plainArray Format = "json array"
)

// A Mode says which messages [Open] takes for packs. An empty or unknown mode acts as Auto.
type Mode string

const (
	// Auto unpacks what the attributes mark as a pack.
	Auto Mode = "auto"
	// Lines unpacks marked packs, and any other message as lines of one JSON document each.
	Lines Mode = "ndjson"
	// Array unpacks marked packs, and any other message as a JSON array whose elements are the records.
	Array Mode = "json-array"
	// Off takes each message for one record, marked or not.
	Off Mode = "off"
)

func marks(f Format, count int) map[string]string {
	return map[string]string{FormatAttribute: string(f), CountAttribute: strconv.Itoa(count)}
}

// readMarks gives format and count of a message; marked is false when it has no mark. The count is not to be trusted.
func readMarks(attributes map[string]string) (f Format, count int, marked bool, err *DamageError) {
	text, marked := attributes[FormatAttribute]
	if !marked {
		return "", 0, false, nil
	}
	f = Format(text)
	if f != Framed && f != NDJSON {
		return "", 0, true, &DamageError{Format: f, Reason: fmt.Sprintf(
			"this version reads %s and %s only; a later version of the connector may read it", Framed, NDJSON)}
	}
	n, parseErr := strconv.ParseUint(attributes[CountAttribute], 10, 31)
	if parseErr != nil || n == 0 {
		return f, 0, true, &DamageError{Format: f, Reason: fmt.Sprintf(
			"the attribute %s must have the number of records, not %.40q", CountAttribute, attributes[CountAttribute])}
	}
	return f, int(n), true, nil
}
