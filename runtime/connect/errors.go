package connect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The marks that [Fatal] and [Reject] put on an error; test for them with errors.Is, or ask [ClassOf].
var (
	ErrFatal    = errors.New("fatal")
	ErrRejected = errors.New("rejected")
)

// Fatal marks err as one that no retry mends, such as wrong credentials: the connector stops with exit status 1, and what was not
// acknowledged or committed comes again at the next start. Fatal(nil) is nil.
func Fatal(err error) error { return mark(ErrFatal, err) }

// Reject marks err as the fault of the record itself: it can never be written. The runtime sends the record to the dead-letter
// topic and goes on. Reject(nil) is nil.
func Reject(err error) error { return mark(ErrRejected, err) }

func mark(sentinel, err error) error {
	if err == nil {
		return nil
	}
	return &marked{sentinel: sentinel, cause: err}
}

// marked adds a class to an error and no words.
type marked struct{ sentinel, cause error }

func (m *marked) Error() string   { return m.cause.Error() }
func (m *marked) Unwrap() []error { return []error{m.sentinel, m.cause} }

// A Class is what the runtime does about an error.
type Class int

// The classes, from mildest to gravest.
const (
	ClassNone     Class = iota // no error
	ClassRejected              // the record goes to the dead letters
	ClassRetry                 // the same records are tried again later
	ClassFatal                 // the connector stops
)

// String gives the class as metrics and logs show it.
func (c Class) String() string {
	return [...]string{"none", "rejected", "retryable", "fatal"}[c]
}

// ClassOf tells what the runtime does about err. An unmarked error is retried, because losing data is worse than waiting. A
// [BatchError] has the gravest class of its records.
func ClassOf(err error) Class {
	var batch *BatchError
	switch {
	case err == nil:
		return ClassNone
	case errors.As(err, &batch):
		worst := ClassNone
		for _, e := range batch.errs {
			worst = max(worst, ClassOf(e))
		}
		return worst
	case errors.Is(err, ErrFatal):
		return ClassFatal
	case errors.Is(err, ErrRejected):
		return ClassRejected
	default:
		return ClassRetry
	}
}

// A BatchError tells the outcome of single records of a batch; the records that it does not name were written. The zero value is
// ready to use.
type BatchError struct {
	errs map[int]error
}

// Add says that the record at index i of the batch failed with err; a nil err adds nothing. A second error for an index replaces
// the first.
func (b *BatchError) Add(i int, err error) {
	if err == nil {
		return
	}
	if b.errs == nil {
		b.errs = make(map[int]error)
	}
	b.errs[i] = err
}

// Err is what Write returns: nil when nothing was added, else b.
func (b *BatchError) Err() error {
	if len(b.errs) == 0 {
		return nil
	}
	return b
}

// At is the error of the record at index i, nil when it was written.
func (b *BatchError) At(i int) error { return b.errs[i] }

// Indexes lists the failed records in ascending order.
func (b *BatchError) Indexes() []int { return slices.Sorted(maps.Keys(b.errs)) }

// Error names the first failures.
func (b *BatchError) Error() string {
	const shown = 3
	var parts []string
	for _, i := range b.Indexes() {
		if len(parts) == shown {
			parts = append(parts, fmt.Sprintf("and %d more", len(b.errs)-shown))
			break
		}
		parts = append(parts, fmt.Sprintf("record %d: %v", i, b.errs[i]))
	}
	return strings.Join(parts, "; ")
}
