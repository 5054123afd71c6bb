// Package seglog is an append-only log of byte records on disk. It knows nothing of what the records mean.
//
// Records get consecutive offsets from 0 on. They lie in segment files of bounded size; the last is written to, the others never
// change. Every record has a checksum over its content and its offset. An append is safe when [Ticket.Wait] returns nil: many that
// wait at the same time share one write and one fsync.
//
// What a crash can leave behind:
//
//   - a torn tail: records that nobody was told to be safe. [Open] cuts it off and says so in its [Report].
//   - a segment file without a whole header. It holds no record yet and is made anew.
//
// Everything else is damage. It is a [DamageError] that names file and record, from Open when it lies in the last segment or shows
// in the sizes of the others, else from reading; nothing is changed then. The two are told apart by what each record says about
// those before it: how many of them had not been synced when it was written. A log that was closed with [Log.Close] has no torn
// tail, so there every fault is damage.
//
// How it is built, for those who change it: format.go has the bytes, recover.go what Open does, commit.go the way to the disk,
// read.go and trim.go the rest.
package seglog
