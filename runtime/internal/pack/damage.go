package pack

import "fmt"

// A DamageError says why a message that should be a pack cannot be read. None of its records was handed out: reject the message as one
// record, with its payload and attributes as they are.
type DamageError struct {
	Format Format // what the message should be
	Record int    // index of the record, from 0, at which reading ended
	Byte   int    // place in the payload, from 0, at which reading ended
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("read pack (%.40s) at byte %d, record %d: %s", string(e.Format), e.Byte, e.Record, e.Reason)
}

// miscounted is the error of a pack that holds another number of records than its attribute says.
func miscounted(f Format, at, found, count int) *DamageError {
	return &DamageError{Format: f, Record: found, Byte: at, Reason: fmt.Sprintf(
		"%d records were read and the attribute %s says %d", found, CountAttribute, count)}
}
