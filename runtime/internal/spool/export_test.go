package spool

import "errors"

// Die ends s as the end of its process would: nothing is saved, and the lock is gone.
func (s *Spool) Die() { _ = errors.Join(s.log.Close(), s.marks.Close()) } // the log's machine may be off

// The format.
var (
	Decode       = decode
	Identify     = identify
	AppendRecord = appendRecord
)

// Identity is identity.
type Identity = identity
