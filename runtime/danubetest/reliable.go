package danubetest

import (
	"container/heap"
	"container/list"
	"time"
)

// reliable is the dispatcher of reliable topics.
//
// At most window messages are in flight. Each is in one state: queued and sent ones stand in sent, oldest first, ready ones in
// ready, by offset, waiting ones in waiting, by time; held ones stand behind the one of their key. One timer stands for the earliest of all deadlines; it may fire early, never
// late. No work is done while nothing happens.
type reliable struct {
	sub    *subscription
	keys   *byKey   // on Key-Shared, else nil
	locks  keyLocks // on Key-Shared
	window int
	policy FailurePolicy

	next      uint64 // first offset that was never read
	inFlight  map[uint64]*delivery
	order     list.List // everything in flight, by offset
	sent      list.List // queued and sent, by the time at which the ack timeout began
	ready     pile
	waiting   pile
	exhausted int      // how many the policy Block holds
	halted    bool     // the log is damaged: nothing more is read
	unread    []uint64 // what was unacknowledged and could not be read, above everything in flight

	timer   *time.Timer
	armed   time.Time // when timer fires; zero when it is not running
	stopped bool
}

// newReliable makes a dispatcher that goes on at from.
func newReliable(sub *subscription, from position) *reliable {
	r := &reliable{
		sub:      sub,
		window:   sub.topic.window(sub.name),
		policy:   sub.topic.policy(sub.name),
		next:     from.next,
		inFlight: make(map[uint64]*delivery),
		locks:    make(keyLocks),
		ready:    pile{less: byOffset},
		waiting:  pile{less: byDue},
	}
	r.keys, _ = sub.pick.(*byKey)
	for i, offset := range from.unacked {
		d := r.admit(offset)
		if d == nil {
			r.halted, r.unread = true, from.unacked[i:]
			break
		}
		if d.state == stateReady {
			heap.Push(&r.ready, d)
		}
	}
	return r
}

func (r *reliable) published() { r.dispatch() }

// opened delivers again what an earlier stream of c had taken, and what nobody else could take.
func (r *reliable) opened(c *consumer) {
	r.sub.pick.joined()
	for e := r.order.Front(); e != nil; e = e.Next() {
		if d := e.Value.(*delivery); d.state == stateParked {
			r.makeReady(d)
		}
	}
	r.lost(c)
}

// lost makes everything that c had in flight ready at once, whatever it was waiting for.
func (r *reliable) lost(c *consumer) {
	c.outbox = fifo[*delivery]{}
	for e := r.order.Front(); e != nil; e = e.Next() {
		if d := e.Value.(*delivery); d.to == c && d.state != stateExhausted && d.state != stateDying {
			r.makeReady(d)
		}
	}
	r.dispatch()
}

func (r *reliable) taken(d *delivery, now time.Time) {
	d.state = stateSent
	d.count++
	d.sentAt = now
	r.sent.MoveToBack(d.inSent)
}

// ack ignores what is not sent: a message that waits for its next delivery must be delivered before it can be acknowledged.
func (r *reliable) ack(offset uint64) {
	d := r.inFlight[offset]
	if d == nil || d.state != stateSent {
		return
	}
	r.sub.acked++
	r.remove(d)
	r.dispatch()
}

func (r *reliable) nack(offset uint64, delay time.Duration, reason string) {
	d := r.inFlight[offset]
	if d == nil || (d.state != stateSent && d.state != stateWaiting) {
		return
	}
	r.fail(d, delay, reason, time.Now())
	r.dispatch()
}

func (r *reliable) configure(window int, policy FailurePolicy) {
	r.window, r.policy = window, policy
	for e := r.order.Front(); e != nil; {
		d := e.Value.(*delivery)
		e = e.Next() // remove may take d out of the list
		if d.state == stateExhausted {
			r.fail(d, 0, d.reason, time.Now())
		}
	}
	r.dispatch()
}

func (r *reliable) floor() uint64 {
	if oldest := r.order.Front(); oldest != nil {
		return oldest.Value.(*delivery).offset
	}
	if len(r.unread) > 0 {
		return r.unread[0]
	}
	return r.next
}

func (r *reliable) position() position {
	p := position{next: r.next}
	for e := r.order.Front(); e != nil; e = e.Next() {
		p.unacked = append(p.unacked, e.Value.(*delivery).offset)
	}
	p.unacked = append(p.unacked, r.unread...)
	return p
}

func (r *reliable) backlog() int {
	return len(r.inFlight) + len(r.unread) + int(r.sub.topic.head-r.next)
}

func (r *reliable) unacked() int { return len(r.inFlight) }

func (r *reliable) blocked() bool { return r.exhausted > 0 }

func (r *reliable) stop() {
	r.stopped = true
	if r.timer != nil {
		r.timer.Stop()
	}
}

// dispatch hands over all that can be handed over, what was delivered before first.
func (r *reliable) dispatch() {
	now := time.Now()
	for r.ready.Len() > 0 && r.sub.pick.any() {
		r.place(heap.Pop(&r.ready).(*delivery), now)
	}
	for r.canRead() {
		d := r.admit(r.next)
		if d == nil {
			r.halted = true
			break
		}
		r.next++
		if d.state == stateReady {
			r.place(d, now)
		}
	}
	r.arm()
}

// canRead says whether a new message may be handed over: those that come again go first, and Block stops all but Key-Shared.
func (r *reliable) canRead() bool {
	return !r.halted && r.next < r.sub.topic.head && len(r.inFlight) < r.window && r.ready.Len() == 0 &&
		(r.exhausted == 0 || r.keys != nil) && r.sub.pick.any()
}

// admit reads a message into the window. It comes out ready, or on Key-Shared held behind another one; nil when it cannot be read.
func (r *reliable) admit(offset uint64) *delivery {
	d := &delivery{stored: r.sub.topic.log.read(offset)}
	if d.msg == nil {
		return nil
	}
	r.inFlight[offset] = d
	d.inOrder = r.order.PushBack(d)
	if r.keys != nil && !r.locks.enter(d) {
		d.state = stateHeld
	}
	return d
}

// place finds a consumer for d, which is in no pile. What no filter lets through is passed over, as on the real broker.
func (r *reliable) place(d *delivery, now time.Time) {
	c := r.sub.pick.pick(d.msg)
	switch {
	case c != nil:
		r.queue(d, c, now)
	case r.keys != nil && !r.keys.wanted(d.msg):
		d.state = stateParked
		r.remove(d)
	default:
		d.state = stateParked
	}
}

// queue puts d into the outbox of c. The ack timeout runs from here, so that a consumer that does not read loses it again.
func (r *reliable) queue(d *delivery, c *consumer, now time.Time) {
	d.state, d.to, d.sentAt = stateQueued, c, now
	d.inSent = r.sent.PushBack(d)
	c.push(d)
}

// unlink takes d out of the collection of its state.
func (r *reliable) unlink(d *delivery) {
	switch d.state {
	case stateQueued, stateSent:
		r.sent.Remove(d.inSent)
	case stateReady:
		heap.Remove(&r.ready, d.inPile)
	case stateWaiting:
		heap.Remove(&r.waiting, d.inPile)
	case stateExhausted:
		r.exhausted--
	}
}

// remove ends d: it was acknowledged, dropped or dead-lettered.
func (r *reliable) remove(d *delivery) {
	r.unlink(d)
	r.order.Remove(d.inOrder)
	delete(r.inFlight, d.offset)
	if r.keys == nil || d.state == stateHeld {
		return
	}
	if follower := r.locks.leave(d); follower != nil {
		follower.state = stateReady
		heap.Push(&r.ready, follower)
	}
}

func (r *reliable) makeReady(d *delivery) {
	if d.state == stateReady {
		return
	}
	r.unlink(d)
	d.state = stateReady
	heap.Push(&r.ready, d)
}

func (r *reliable) makeWait(d *delivery, due time.Time) {
	r.unlink(d)
	d.state, d.due = stateWaiting, due
	heap.Push(&r.waiting, d)
}

// fail decides about a message that was nacked or not acknowledged in time.
func (r *reliable) fail(d *delivery, asked time.Duration, reason string, now time.Time) {
	d.reason = reason
	if d.count <= r.policy.MaxRedeliveries {
		r.makeWait(d, now.Add(r.policy.delay(d.count, asked)))
		return
	}
	r.exhaust(d)
}

// exhaust applies the poison policy to d.
func (r *reliable) exhaust(d *delivery) {
	t := r.sub.topic
	t.broker.log.Warn("message delivered too often", "topic", t.name, "subscription", r.sub.name, "offset", d.offset,
		"deliveries", d.count, "reason", d.reason, "policy", r.policy.Poison)
	if r.policy.Poison == Drop {
		r.remove(d)
		return
	}
	r.unlink(d)
	if r.policy.Poison == Block {
		d.state = stateExhausted
		r.exhausted++
		return
	}
	d.state = stateDying
	t.broker.deadLetters.add(deadLetter{
		topic: t, sub: r.sub, d: d, target: r.policy.DeadLetterTopic, done: func(err error) { r.deadLettered(d, err) },
	})
}

// deadLetterRetry is the wait before a dead letter that could not be published is tried again.
const deadLetterRetry = 500 * time.Millisecond

// deadLettered is called with the topic locked when the copy of d was published, or could not be.
func (r *reliable) deadLettered(d *delivery, err error) {
	if r.stopped || r.inFlight[d.offset] != d || d.state != stateDying {
		return
	}
	if err != nil {
		r.makeWait(d, time.Now().Add(deadLetterRetry))
		r.arm()
		return
	}
	r.remove(d)
	r.dispatch()
}

// fire is the timer's function.
func (r *reliable) fire() {
	t := r.sub.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.stopped {
		return
	}
	r.armed = time.Time{}
	now := time.Now()
	r.expire(now)
	for r.waiting.Len() > 0 && !r.waiting.items[0].due.After(now) {
		d := r.waiting.items[0]
		if d.count > r.policy.MaxRedeliveries && r.policy.Poison == DeadLetter {
			r.exhaust(d)
			continue
		}
		r.makeReady(d)
	}
	r.dispatch()
	t.trim()
	t.broker.changed()
}

// expire handles the ack timeouts that are over.
func (r *reliable) expire(now time.Time) {
	for e := r.sent.Front(); e != nil; e = r.sent.Front() {
		d := e.Value.(*delivery)
		if d.sentAt.Add(r.policy.ackTimeout()).After(now) {
			return
		}
		if d.state == stateQueued { // its consumer does not read: nothing in that outbox was delivered
			r.reclaim(d.to)
			continue
		}
		r.fail(d, 0, "ack timeout", now)
	}
}

// reclaim empties the outbox of c.
func (r *reliable) reclaim(c *consumer) {
	for c.outbox.len() > 0 {
		r.makeReady(c.outbox.pop())
	}
}

// arm makes the timer fire no later than at the earliest deadline.
func (r *reliable) arm() {
	var next time.Time
	if e := r.sent.Front(); e != nil {
		next = e.Value.(*delivery).sentAt.Add(r.policy.ackTimeout())
	}
	if r.waiting.Len() > 0 {
		if due := r.waiting.items[0].due; next.IsZero() || due.Before(next) {
			next = due
		}
	}
	if next.IsZero() || (!r.armed.IsZero() && !next.Before(r.armed)) || r.stopped {
		return
	}
	r.armed = next
	if r.timer == nil {
		r.timer = time.AfterFunc(time.Until(next), r.fire)
		return
	}
	r.timer.Reset(time.Until(next))
}
