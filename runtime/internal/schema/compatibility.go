package schema

import (
	"fmt"
	"strings"
)

// A Mode says what the next version of a schema has to be compatible with.
type Mode string

// The compatibility modes.
const (
	None     Mode = "none"
	Backward Mode = "backward" // the new version reads what the latest one wrote
	Forward  Mode = "forward"  // the latest version reads what the new one writes
	Full     Mode = "full"     // both
)

// ParseMode reads the name of a mode in any case.
func ParseMode(name string) (Mode, error) {
	switch m := Mode(strings.ToLower(name)); m {
	case None, Backward, Forward, Full:
		return m, nil
	}
	return "", fmt.Errorf("unknown compatibility mode %q; the modes are none, backward, forward and full", name)
}

// Incompatible lists why next may not follow latest under a mode; nothing if it may.
func Incompatible(mode Mode, latest, next *Schema) []string {
	if mode == None {
		return nil
	}
	if latest.kind != next.kind {
		return []string{fmt.Sprintf("schema type changed from %s to %s", latest.kind, next.kind)}
	}
	var problems []string
	if mode == Backward || mode == Full {
		problems = append(problems, unreadable(next, latest, true)...)
	}
	if mode == Forward || mode == Full {
		problems = append(problems, unreadable(latest, next, false)...)
	}
	return problems
}

// unreadable lists why reader cannot read what writer wrote; newReader says which of the two is the new one. Schemas without
// structure, and protobuf, which is not parsed, always can.
func unreadable(reader, writer *Schema, newReader bool) []string {
	switch {
	case reader.kind == Avro:
		return unreadableAvro(reader.avro, writer.avro)
	case reader.kind == JSON && newReader:
		return backwardJSON(writer.json, reader.json)
	case reader.kind == JSON:
		return forwardJSON(reader.json, writer.json)
	}
	return nil
}
