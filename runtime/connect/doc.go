// Package connect is what the author of a Danube connector imports.
//
// A connector is one [Sink] or one [Source] and a call of [RunSink] or [RunSource]. The package owns the rest: talking to the broker,
// batching, order, retries, dead letters, positions, configuration, metrics, health and shutdown.
//
// A sink's way of a message: it is read from the broker at once, written by [Sink.Write], and acknowledged only after Write
// returned nil for it or its dead letter was confirmed. A source's way: [Source.Read], publish, the broker's confirmation, the
// position on disk, [Source.Commit]. A process that dies anywhere on these ways repeats records and loses none; repeated records
// carry the same [Record.EventID].
package connect
