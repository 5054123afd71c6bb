package connect

import "context"

// A Sink writes records to an external system. The runtime never calls Write concurrently on one Sink; parallelism is several
// sinks (`workers` in the configuration).
type Sink interface {
	// Write makes every record of batch durable before it returns nil; the runtime then acknowledges them. Batch holds 1 to
	// batch_size records of one topic, those of one key in order; neither it nor a Value in it may be kept.
	//
	// A record may come again after a crash or a retry, so Write should be idempotent, for example by [Record.EventID].
	//
	// Errors decide what happens next: see [Fatal], [Reject] and [BatchError]. A Reject for several records makes the runtime write
	// them again in halves until the bad one stands alone. Any other error means: try the same batch again later. Write returns
	// promptly once ctx is done.
	Write(ctx context.Context, batch []Record) error

	// Close frees what opening acquired. It is called once, after the last Write has returned.
	Close() error
}

// A Pinger is a [Sink] or [Source] that can tell whether its external system answers. The runtime asks it for /ready.
type Pinger interface {
	// Ping returns nil when the external system answers. It returns promptly once ctx is done.
	Ping(ctx context.Context) error
}
