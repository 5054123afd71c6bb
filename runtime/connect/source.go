package connect

import "context"

// A Position is where a source stands in its external system, in bytes that only the source understands. The runtime stores the
// newest one whose records are all safe in Danube and hands it to `open` at the next start. Nil means: from the beginning, as the
// source's configuration defines it.
type Position []byte

// A Batch is what one Read returned: at least one record, and the position after the last of them.
type Batch struct {
	Records  []Record
	Position Position
}

// A Source reads records from an external system. The runtime never calls Read concurrently on one Source; Commit may run beside
// Read.
type Source interface {
	// Read blocks until it has at least one record or ctx is done. The runtime owns what it returns.
	//
	// Read sets the attribute danube-event-id ([EventIDAttribute]) on each record, derived from the record's place in the external
	// system, so that a record read again after a crash is recognised as the same.
	//
	// io.EOF means that there will never be more: the runtime finishes what it has and stops with exit status 0. [Fatal] stops it
	// with status 1. Any other error means: call Read again later.
	Read(ctx context.Context) (Batch, error)

	// Commit says that every record up to position is safe in Danube and that position is stored. It comes in order and may pass
	// over positions, the later one standing for all before it. An error is logged and the next Commit repeats it.
	Commit(ctx context.Context, position Position) error

	// Close frees what opening acquired. It is called once, after the last Read and Commit have returned.
	Close() error
}
