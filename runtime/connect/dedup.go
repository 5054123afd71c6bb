package connect

import (
	"iter"
	"sync"
)

// DefaultDedupIDs is how many event ids a [Dedup] remembers unless it is told otherwise.
const DefaultDedupIDs = 100_000

// A Dedup remembers the event ids that a sink wrote last, so that it does not write them again when the broker delivers them again. It is
// for targets that cannot do so themselves, by a key or an idempotent write:
//
//	for i, r := range s.written.Unseen(batch) { … write, or bad.Add(i, err) … }
//	s.written.Add(…) // those that were written, once that is durable
//
// It is memory: a process that begins anew remembers nothing, and of the ids it forgets the one that was added first. So it removes the
// duplicates of lost acknowledgements and of batches that are tried again, and not those of a crash between the write and the
// acknowledgement. To be right after a crash, the target must keep the ids.
//
// It needs up to 80 bytes for each id, however long the id is: 8 MB for the default. It is safe for concurrent use, and the instances of a
// sink may share one. Copies of a record are of one lane, so they are written one after the other and none slips between Unseen and Add.
type Dedup struct {
	limit int

	mu     sync.Mutex
	ids    map[FixedID]struct{}
	order  []FixedID // as many as in ids; once there are limit of them, a ring
	oldest int       // place in the ring
}

// NewDedup returns a Dedup that remembers the newest n ids; [DefaultDedupIDs] if n is 0 or less. Memory is taken as ids come.
func NewDedup(n int) *Dedup {
	if n <= 0 {
		n = DefaultDedupIDs
	}
	return &Dedup{limit: n, ids: make(map[FixedID]struct{})}
}

// Seen says whether the event id was added and not yet forgotten.
func (d *Dedup) Seen(eventID string) bool { return d.seen(NewFixedID(eventID)) }

func (d *Dedup) seen(id FixedID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.ids[id]
	return ok
}

// Unseen gives the records of batch that are still to be written, with their places in batch, which is what [BatchError.Add] wants: those
// that were not added, and of copies within batch the first. It changes nothing: what is not added afterwards comes again.
func (d *Dedup) Unseen(batch []Record) iter.Seq2[int, Record] {
	return func(yield func(int, Record) bool) {
		here := make(map[FixedID]struct{}, len(batch))
		for i, r := range batch {
			id := NewFixedID(r.EventID())
			if _, twice := here[id]; twice || d.seen(id) {
				continue
			}
			here[id] = struct{}{}
			if !yield(i, r) {
				return
			}
		}
	}
}

// Add remembers records that were written. Call it only once that is durable: what is added is never written again. A record that was
// added before keeps its place.
func (d *Dedup) Add(records ...Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range records {
		d.add(NewFixedID(r.EventID()))
	}
}

func (d *Dedup) add(id FixedID) {
	if _, ok := d.ids[id]; ok {
		return
	}
	d.ids[id] = struct{}{}
	if len(d.order) < d.limit {
		d.order = append(d.order, id)
		return
	}
	delete(d.ids, d.order[d.oldest])
	d.order[d.oldest] = id
	d.oldest = (d.oldest + 1) % d.limit
}
