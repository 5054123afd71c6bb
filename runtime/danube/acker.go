package danube

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// ackLimit is how many acknowledgements of one partition are under way at once.
const ackLimit = 256

// resendTime is how long a new stream may take, from its first message on, to repeat what is unacknowledged.
const resendTime = time.Second

// returnTime is how long beyond its delay a message that was given back may take to come again: the broker's longest delay by default,
// and its ticks.
const returnTime = 65 * time.Second

// An acker keeps account of what one partition's stream delivered and the broker has not yet confirmed as acknowledged.
//
// It obeys the order that keeps the real broker from freezing the subscription: the highest offset received so far is acknowledged
// only after every lower one was confirmed; the lower ones go out at once, side by side. After a lost stream earlier
// acknowledgements count for nothing: each waits until its message has come again, which the caller does not see.
type acker struct {
	topic        string // with partition suffix
	subscription string
	memory       *memory
	ordered      bool        // the broker delivers by offset, without gaps
	kick         func(error) // ends the stream so that the subscription attaches again
	relieve      func()      // called when there is room for what was dropped

	mu       sync.Mutex
	entries  map[uint64]*entry // received and not confirmed, by offset
	top      *entry            // that of the highest offset; nil once confirmed
	highest  uint64            // the highest offset received, valid when seen
	seen     bool
	gaps     bool  // offsets below the highest were passed over by the broker itself
	missed   place // the lowest of those that were dropped for want of room and have not come again
	route    route
	open     bool          // a stream is there to acknowledge on
	session  uint64        // counts streams
	life     int           // counts new lives of the broker
	resent   resent        // what is known of the repeats of this stream
	asking   *time.Timer   // set while askAgain waits for quiet
	stale    int           // entries of earlier sessions that have not come again
	held     int           // entries that the caller has not acknowledged, dead ones included
	overflow bool          // what comes is dropped until the stream is opened again
	below    bool          // something below the highest offset was dropped, so that has to wait
	slab     []entry       // entries made ahead, see newEntry
	ready    entryQueue    // to be acknowledged, waiting for a place under way
	inFlight int           // calls under way
	pending  int           // entries that are ready, under way, or wait to be tried again
	idle     chan struct{} // closed when pending becomes 0; nil while nobody waits

	received, confirmed, repeated uint64
	hanging                       int       // calls in a row that met their deadline
	hangingSince                  time.Time // begin of the first of them
	lastDelivery                  time.Time // of a message, repeated or not
	proven                        bool      // an acknowledgement was confirmed in this life
}

// An entry is one message on its way from delivery to confirmation.
type entry struct {
	unary.Call
	answer  [16]byte // room for the response, which says nothing that is not known
	calls   caller   // of the call under way
	buffer  *buffer  // while a call is under way
	acker   *acker
	id      identity
	size    int64     // what the caller holds
	session uint64    // the last stream that delivered it
	sent    uint64    // the stream on which its call went out
	since   time.Time // when the caller got it
	nack    *nack     // the caller gave it back
	acked   bool      // the caller is done with it
	pending bool      // ready, under way, or waiting to be tried again
	again   bool      // a copy of what was confirmed before, unknown to the caller
	copied  bool      // it came again meanwhile, so the broker may have missed what was said
	dead    bool      // given up: another message has its place, or the broker forgot it
	tries   int       // failed calls
	next    *entry    // in an entryQueue
}

// A nack says how a message was given back.
type nack struct {
	delay     time.Duration
	reason    string
	confirmed bool // the broker knows
}

// An identity tells two messages apart: an offset alone comes again after a broker restart and is always 0 on non-reliable topics.
type identity struct {
	offset    uint64
	published int64
	producer  string
	request   uint64
}

func identify(m *Message) identity {
	return identity{offset: m.Offset, published: m.PublishTime.UnixMilli(), producer: m.Producer, request: m.requestID}
}

// opened begins a session; a new life of the broker forgets all that is under way, because nothing of it will come again as it was.
func (a *acker) opened(r route, newLife bool) {
	a.mu.Lock()
	defer a.release()
	if newLife {
		for _, e := range a.entries {
			a.drop(e)
		}
		a.seen, a.top, a.proven, a.gaps, a.missed = false, nil, false, false, place{}
		a.life++
		a.resent.done = nil
	}
	a.resent.await = a.awaited()
	a.route, a.open, a.hanging = r, true, 0
}

// closed ends a session: whatever is not confirmed has to come again.
func (a *acker) closed() {
	a.mu.Lock()
	defer a.release()
	a.open = false
	a.session++
	a.resent.stop()
	a.stale = len(a.entries)
	a.memory.overflows(&a.overflow, false)
	a.below = false
}

// receive takes account of a delivered message. It returns nil when the caller has it already, is done with it, or has to get others
// first, and life, the number of lives that the broker has begun.
func (a *acker) receive(m *Message) (e *entry, life int) {
	a.mu.Lock()
	defer a.release()
	a.received++
	a.lastDelivery = time.Now()
	a.settleLater()
	id := identify(m)
	if e := a.entries[id.offset]; e != nil {
		if e.id == id {
			return a.repeat(e), a.life
		}
		a.drop(e)
	}
	if a.ackAgain(id) || a.tooEarly(id.offset) {
		return nil, a.life
	}
	size := int64(m.Size()) + messageOverhead
	if a.overflow || !a.memory.take(size, a.held == 0) {
		if !a.missed.known || id.offset < a.missed.offset {
			a.missed = place{offset: id.offset, known: true}
		}
		a.spill(id.offset)
		return nil, a.life
	}
	e = a.newEntry()
	*e = entry{acker: a, id: id, size: size, session: a.session, since: a.lastDelivery}
	a.entries[id.offset] = e
	a.held++
	if a.missed.is(id.offset) {
		a.missed = place{}
	}
	if !a.seen || id.offset > a.highest {
		a.gaps = a.gaps || a.seen && id.offset > a.highest+1
		former := a.top
		a.top, a.highest, a.seen = e, id.offset, true
		a.schedule(former)
	}
	return e, a.life
}

// entriesAtOnce are made together: one allocation for each message is what a reader can least afford.
const entriesAtOnce = 16

func (a *acker) newEntry() *entry {
	if len(a.slab) == 0 {
		a.slab = make([]entry, entriesAtOnce)
	}
	e := &a.slab[0]
	a.slab = a.slab[1:]
	return e
}

// repeat notes that e came again; an acknowledgement that an earlier session could not get through may go now. It returns e when the
// caller gave it back and now gets it again.
func (a *acker) repeat(e *entry) *entry {
	a.resent.last = a.lastDelivery
	if e.session != a.session {
		e.session = a.session
		a.stale--
	}
	if e.nack != nil && e.nack.confirmed {
		if a.overflow || !a.memory.take(e.size, a.held == 0) {
			a.spill(e.id.offset)
			return nil
		}
		e.nack, e.since = nil, a.lastDelivery
		a.held++
		return e
	}
	a.repeated++
	e.copied = e.pending
	a.schedule(e)
	return nil
}

// spill drops a message for which there is no room and all that come after it, so that order is kept; they are not acknowledged, so the
// broker repeats them on the next stream. A message above all entries is unacknowledged now, so the highest of them may go; behind one
// below it has to wait.
func (a *acker) spill(offset uint64) {
	a.memory.overflows(&a.overflow, true)
	if offset < a.highest {
		a.below = true
		return
	}
	former := a.top
	a.top = nil
	a.schedule(former)
}

// drop forgets e; the caller's acknowledgement of it will only free its memory.
func (a *acker) drop(e *entry) {
	e.dead = true
	delete(a.entries, e.id.offset)
	if e.session != a.session && a.stale > 0 {
		a.stale--
	}
	if a.top == e {
		a.top = nil
	}
}

// letGo notes that the caller no longer holds e.
func (a *acker) letGo(e *entry) {
	a.held--
	a.memory.give(e.size)
}

// ack says that the caller is done with e.
func (a *acker) ack(e *entry) {
	a.mu.Lock()
	defer a.release()
	if e.acked || e.nack != nil {
		return
	}
	e.acked = true
	a.letGo(e)
	a.schedule(e)
}

// giveBack says that the caller wants e again later. Until then it counts as unacknowledged.
func (a *acker) giveBack(e *entry, n *nack) {
	a.mu.Lock()
	defer a.release()
	if e.acked || e.nack != nil {
		return
	}
	e.nack = n
	a.letGo(e)
	a.schedule(e)
}

// schedule makes e ready if the broker may be told of it now.
func (a *acker) schedule(e *entry) {
	if e == nil || e.dead || e.pending || !a.open || e.session != a.session {
		return
	}
	if !e.acked && (e.nack == nil || e.nack.confirmed) {
		return
	}
	if e.acked && e == a.top && (len(a.entries) > 1 || a.below || e.again && a.resent.lacks(e.id.offset)) {
		return // the highest goes last
	}
	e.pending = true
	a.pending++
	a.ready.push(e)
}

// finish notes that nothing is under way for e any more; confirmed removes it for good.
func (a *acker) finish(e *entry, confirmed bool) {
	e.pending, e.tries = false, 0
	a.pending--
	confirmed = confirmed && !e.copied
	e.copied = false
	switch {
	case confirmed && e.acked && !e.dead:
		a.confirmed++
		a.proven = true
		a.resent.confirmed(e.id, e.again)
		a.drop(e)
		a.schedule(a.top)
	case confirmed && e.nack != nil && !e.dead:
		e.nack.confirmed = true
		a.awaitReturn(e, e.nack)
	default:
		a.schedule(e) // its message may have come again while the call was under way
	}
	if a.pending == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// awaitReturn gives e up if it does not come again: the broker's poison policy has dropped it or made a dead letter of it.
func (a *acker) awaitReturn(e *entry, n *nack) {
	time.AfterFunc(n.delay+returnTime, func() {
		a.mu.Lock()
		defer a.release()
		if !e.dead && e.nack == n {
			a.drop(e)
			a.schedule(a.top)
		}
	})
}

// release unlocks the acker, sends what has become ready, and asks for what was dropped if there is room for it now.
func (a *acker) release() {
	for {
		e := a.next()
		a.mu.Unlock()
		if e == nil {
			break
		}
		e.calls.start(&e.Call)
		a.mu.Lock()
	}
	if a.memory.relieved() {
		a.relieve()
	}
}

// next takes the entry whose call is to go out, nil when there is none.
func (a *acker) next() *entry {
	for a.inFlight < ackLimit {
		e := a.ready.pop()
		if e == nil {
			return nil
		}
		if e.dead || !a.open || e.session != a.session {
			a.finish(e, false)
			continue
		}
		a.inFlight++
		e.sent = a.session
		e.prepare()
		return e
	}
	return nil
}

// prepare encodes the call of e. The acker is locked.
func (e *entry) prepare() {
	a := e.acker
	id := msgID{topic: a.topic, broker: a.route.brokerURL, offset: e.id.offset}
	e.buffer = getBuffer(0)
	e.calls, e.Method, e.Response, e.Deadline, e.Owner = a.route.calls, methodAck, e.answer[:0], time.Now().Add(callTimeout), e
	if n := e.nack; n != nil {
		e.Method = methodNack
		e.buffer.bytes = appendNack(e.buffer.bytes, &id, e.id.request, a.subscription, n.delay, n.reason)
	} else {
		e.buffer.bytes = appendAck(e.buffer.bytes, &id, e.id.request, a.subscription)
	}
	e.Request = e.buffer.bytes
}

// Answered takes the broker's answer. An OK that came after the stream was lost may have met a message waiting for its re-send.
func (e *entry) Answered(*unary.Call) {
	a, err := e.acker, e.Err()
	e.buffer.free()
	a.mu.Lock()
	defer a.release()
	a.inFlight--
	if err == nil {
		a.hanging = 0
		a.finish(e, e.sent == a.session)
		return
	}
	if isTimeout(err) {
		if a.hanging == 0 {
			a.hangingSince = e.Deadline.Add(-callTimeout)
		}
		a.hanging++
	}
	// A broken connection ends the stream as well; reopening it for every lost answer would cost deliveries.
	if classify(opAck, err) == reattach && status.Code(err) != codes.Unavailable {
		a.kick(wrap(opAck, a.topic, err))
	}
	e.tries++
	time.AfterFunc(reconnect.Delay(e.tries), func() {
		a.mu.Lock()
		defer a.release()
		a.ready.push(e)
	})
}

// flush waits until no acknowledgement is under way, or until ctx is done and returns its error.
func (a *acker) flush(ctx context.Context) error {
	a.mu.Lock()
	if a.pending == 0 {
		a.mu.Unlock()
		return nil
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	a.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// oldest is when the caller got the message that it holds longest; zero when it holds none.
func (a *acker) oldest() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	var oldest time.Time
	for _, e := range a.entries {
		if !e.acked && e.nack == nil && (oldest.IsZero() || e.since.Before(oldest)) {
			oldest = e.since
		}
	}
	return oldest
}

// An entryQueue is first in, first out. The zero value is empty.
type entryQueue struct{ first, last *entry }

func (q *entryQueue) push(e *entry) {
	if q.last == nil {
		q.first = e
	} else {
		q.last.next = e
	}
	q.last = e
}

func (q *entryQueue) pop() *entry {
	e := q.first
	if e == nil {
		return nil
	}
	if q.first, e.next = e.next, nil; q.first == nil {
		q.last = nil
	}
	return e
}
