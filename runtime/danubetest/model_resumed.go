package danubetest

// resumedReader is the reader of a subscription that was created from a stored cursor: first the files, then what is live. It fetches
// ahead of its dispatcher into a queue, and dies for good when it falls behind there.
type resumedReader struct {
	topic    *topic
	rules    traps
	files    []stored // in the order in which they are to be given out
	expected uint64   // offset of the next live message

	left   int  // how many are still given out before the reader dies; less than zero for no end
	killAt int  // the count of overlapping publishes at which it dies; zero for never
	isDead bool // reads return nothing from now on
}

// How many unread messages a resumed reader of the real broker survives, how many it can at least give out all of, and how many it
// gives out beyond that: its queue and the one in hand.
const (
	resumedSafe  = 1281
	resumedAll   = 2049
	resumedQueue = 1025
)

// newResumedReader goes through what was written once: it takes each message whose offset is the one that it expects, skips lower
// ones, and turns to what is live at the first higher one.
func newResumedReader(t *topic, cursor uint64) *resumedReader {
	r := &resumedReader{topic: t, rules: t.broker.settings.traps, expected: cursor + 1, left: -1}
	for _, m := range t.lives.readable() {
		if m.offset > r.expected {
			break
		}
		if m.offset == r.expected {
			r.files = append(r.files, m)
			r.expected++
		}
	}
	if r.rules.has(trapOverlapKill) {
		n := t.broker.settings.overlaps
		if n == 0 {
			n = 100 + t.broker.dice.below(4901)
		}
		r.killAt = t.overlaps + n
	}
	r.published()
	return r
}

func (r *resumedReader) next() (stored, bool) {
	if !r.ready() {
		return stored{}, false
	}
	if r.left > 0 {
		r.left--
	}
	if len(r.files) > 0 {
		m := r.files[0]
		r.files = r.files[1:]
		return m, true
	}
	r.expected = max(r.expected, r.topic.log.first())
	r.expected++
	return r.topic.log.read(r.expected - 1), true
}

func (r *resumedReader) ready() bool {
	return !r.dead() && r.unread() > 0
}

// dead says that the reader will never have anything again.
func (r *resumedReader) dead() bool {
	if !r.isDead && (r.left == 0 || (r.killAt > 0 && r.topic.overlaps >= r.killAt)) {
		r.isDead = true
		r.files = nil
		r.topic.broker.log.Warn("wal reader ended: it cannot be repaired", "topic", r.topic.name)
	}
	return r.isDead
}

func (r *resumedReader) floor() uint64 {
	if r.isDead {
		return r.topic.head
	}
	return min(r.expected, r.topic.head)
}

func (r *resumedReader) unread() int {
	n := len(r.files)
	if r.expected < r.topic.head {
		n += int(r.topic.head - r.expected)
	}
	return n
}

func (r *resumedReader) pending() bool { return false }

// published looks how far the reader has fallen behind.
func (r *resumedReader) published() {
	if !r.rules.has(trapResumedBacklog) {
		return
	}
	switch n := r.unread(); {
	case n > resumedAll && (r.left < 0 || r.left > resumedQueue):
		r.left = resumedQueue
	case n > resumedSafe && n <= resumedAll && (r.left < 0 || r.left < n):
		r.left = n
	}
}
