package danubetest

// A reader is where a dispatcher of the real broker gets its messages from.
type reader interface {
	// next takes the next message; ok is false when there is none yet.
	next() (s stored, ok bool)
	// ready says whether next would find one.
	ready() bool
	// floor is the lowest offset that the reader may still need from the log.
	floor() uint64
	// unread is how many messages are left.
	unread() int
	// published says that the head has moved.
	published()
	// pending says that a message was passed over and comes now.
	pending() bool
	// dead says that the reader has ended.
	dead() bool
}

// ringSize is how many unread messages a subscription of the real broker keeps.
const ringSize = 256

// liveReader reads what is published since it was made. With ring the oldest unread go when there are too many.
type liveReader struct {
	topic *topic
	at    uint64
	rules traps
	held  *stored // what was passed over

	swapping bool   // the message at at comes after its neighbour
	tossed   uint64 // decided for all below

	damaged bool // the log cannot be read at at
}

func newLiveReader(t *topic, from uint64, rules traps) *liveReader {
	return &liveReader{topic: t, at: from, rules: rules}
}

// drop forgets what the ring has no place for. It is called before every look, so the log may still keep it or not.
func (r *liveReader) drop() {
	if r.rules.has(trapRing) && r.topic.head > r.at+ringSize {
		r.topic.broker.log.Warn("channel lagged", "topic", r.topic.name, "by", r.topic.head-ringSize-r.at)
		r.at = r.topic.head - ringSize
	}
}

func (r *liveReader) next() (stored, bool) {
	if m := r.held; m != nil {
		r.held = nil
		return *m, true
	}
	r.drop()
	if r.at >= r.topic.head {
		return stored{}, false
	}
	r.toss()
	if !r.swapping {
		return r.take()
	}
	if r.at+1 >= r.topic.head {
		return stored{}, false
	}
	r.swapping = false
	first, ok := r.take()
	if !ok {
		return stored{}, false
	}
	second, ok := r.take()
	if !ok {
		return first, true
	}
	r.held = &first
	return second, true
}

// take reads the message at at.
func (r *liveReader) take() (stored, bool) {
	m := r.topic.log.read(r.at)
	if m.msg == nil { // the log has told
		r.damaged = true
		return stored{}, false
	}
	r.at++
	return m, true
}

// swapOneIn is how rarely neighbours of overlapping publishes come in the wrong order.
const swapOneIn = 500

// toss decides once for each message whether it comes after its neighbour, which is published already or about to be.
func (r *liveReader) toss() {
	if !r.rules.has(trapReorder) {
		return
	}
	if r.at+1 >= r.topic.log.next() {
		r.swapping = false
		return
	}
	if r.tossed > r.at {
		return
	}
	r.tossed = r.at + 1
	_, overlapped := r.topic.overlapped.end(r.at + 1)
	r.swapping = overlapped && r.topic.broker.dice.oneIn(swapOneIn)
}

func (r *liveReader) published() {}

func (r *liveReader) pending() bool { return r.held != nil }

func (r *liveReader) dead() bool { return false }

func (r *liveReader) ready() bool { return r.held != nil || r.at < r.topic.head && !r.damaged }

func (r *liveReader) floor() uint64 {
	r.drop()
	return r.at
}

func (r *liveReader) unread() int {
	r.drop()
	return int(r.topic.head - r.at)
}

// A cursor is how far a subscription of the real broker has come: up to it every offset since the first that was delivered is
// acknowledged or skipped. What a subscription never got it can never pass.
type cursor struct {
	started bool
	first   uint64 // the first offset that was delivered
	acked   runs   // since first
}

// delivered says that offset was read.
func (c *cursor) delivered(offset uint64) {
	if !c.started {
		c.started, c.first = true, offset
	}
}

// done says that offset was acknowledged, dropped or dead-lettered.
func (c *cursor) done(offset uint64) {
	if offset >= c.first {
		c.acked.add(offset)
	}
}

// at returns the cursor; known is false as long as there is none.
func (c *cursor) at() (offset uint64, known bool) {
	end, ok := c.acked.end(c.first)
	if !ok {
		return 0, false
	}
	return end - 1, true
}
