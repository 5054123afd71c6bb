package danubetest

import (
	"container/heap"
	"container/list"
	"math/rand/v2"
	"time"
)

// imitator is the dispatcher of a reliable Exclusive, Failover or Shared subscription as the real broker has it.
//
// It handles one event at a time: a command from its queue, or a tick. While it waits, in a read for a message or in a hand-over for a
// place at a consumer, it handles none, and the queue fills up. It has no goroutine: run goes on from where it waits, and is called
// whenever something has happened that may end the wait. Each rule can be relaxed on its own, by the traps that are off.
type imitator struct {
	sub    *subscription
	rules  traps
	random *rand.Rand
	window int
	policy FailurePolicy

	queue   fifo[command]
	places  int           // how many commands have a place in it
	waiters fifo[*ticket] // those who wait for a place in the queue

	members []*consumer // that have joined, in order
	turn    int         // on Shared: whose turn it is

	keyed    *keyed // on Key-Shared, else nil
	reader   reader
	inFlight map[uint64]*delivery
	order    list.List // everything in flight, by offset
	sent     list.List // what was sent and not acknowledged, by the time of the send
	waiting  pile      // by the time of the next send
	spent    int       // how many are exhausted
	cursor   cursor
	stored   time.Time // when the cursor was stored last, or the dispatcher created

	dispatching bool
	began       time.Time // when the dispatch under way began
	exclusive   *consumer // whom the dispatch under way serves, nil on Shared
	handing     *delivery // in hand-over, to handTo
	handTo      *consumer
	reading     bool // in a read
	parked      bool // the dispatch under way has read a message for which nobody is there

	overdue  bool      // a tick waits to be handled
	nextTick time.Time // ticks have the phase of the dispatcher's creation
	timer    *time.Timer
	armed    time.Time // when timer fires; zero when it is not running
	written  gauges    // by the last tick
	stopped  bool
}

// A command is an entry of the queue.
type command struct {
	kind   commandKind
	to     *consumer // of requeue and join
	offset uint64    // of ack and nack
	delay  time.Duration
	reason string
}

type commandKind int

const (
	wakeUp  commandKind = iota
	ackOne              // removes one message and dispatches
	nackOne             // schedules one message and dispatches
	requeue             // makes what a consumer has in flight due and dispatches
	join                // adds a consumer and dispatches nothing
)

const (
	tickEvery      = 500 * time.Millisecond
	queuePlaces    = 32
	keyQueuePlaces = 128 // on Key-Shared
)

// newImitator makes a dispatcher that goes on at from.
func newImitator(sub *subscription, from position) *imitator {
	b := sub.topic.broker
	m := &imitator{
		sub:      sub,
		rules:    b.settings.traps,
		random:   b.settings.random(sub.topic.name, sub.name),
		window:   sub.topic.window(sub.name),
		policy:   sub.policy,
		inFlight: make(map[uint64]*delivery),
		waiting:  pile{less: byDue},
		nextTick: time.Now().Add(tickEvery),
		places:   queuePlaces,
		stored:   time.Now(),
	}
	m.reader = newLiveReader(sub.topic, from.next, m.rules)
	if l := sub.topic.lives; l != nil {
		if at, ok := l.cursors[sub.name]; ok {
			m.reader = newResumedReader(sub.topic, at)
		}
	}
	if sub.kind == keyShared {
		m.keyed = &keyed{locks: make(keyLocks), absent: make(map[*consumer]int)}
		m.places = keyQueuePlaces
	}
	for _, offset := range from.unacked {
		m.restore(sub.topic.log.read(offset))
	}
	m.rearm()
	return m
}

// restore takes a message into what is in flight that was there before a restart.
func (m *imitator) restore(s stored) {
	m.cursor.delivered(s.offset)
	if s.msg == nil {
		return // the log has told that it cannot read it
	}
	d := m.admit(s)
	if m.keyed != nil && !m.keyed.locks.enter(d) {
		d.state = stateHeld
		return
	}
	m.makeDue(d)
}

// run handles events until there is none, or the dispatcher waits.
func (m *imitator) run() {
	for !m.stopped {
		if m.dispatching {
			if !m.dispatch() {
				return
			}
			m.dispatching = false
			continue
		}
		queued := m.queue.len() > 0
		switch {
		case m.overdue && (!queued || m.random.IntN(2) == 0):
			m.overdue = false
			m.tick(time.Now())
		case queued:
			c := m.queue.pop()
			m.refill()
			m.handle(c)
		default:
			return
		}
	}
}

// handle does what a command says.
func (m *imitator) handle(c command) {
	if m.keyed != nil {
		m.handleByKey(c)
		return
	}
	switch c.kind {
	case wakeUp:
		if m.lag() {
			m.begin()
		}
	case ackOne:
		if d := m.inFlight[c.offset]; d != nil && d.state == stateSent {
			m.remove(d)
			m.acknowledged()
		}
		m.begin()
	case nackOne:
		if d := m.inFlight[c.offset]; d != nil && (d.state == stateSent || d.state == stateWaiting) {
			m.schedule(d, c.delay, c.reason, time.Now())
		}
		m.begin()
	case requeue:
		m.requeue(c.to)
		m.begin()
	case join:
		m.members = append(m.members, c.to)
	}
}

// tick is the only place where time passes: without a consumer nothing times out.
func (m *imitator) tick(now time.Time) {
	m.writeGauges()
	if m.keyed != nil {
		m.evict()
	}
	if !m.present() && m.keyed == nil {
		return
	}
	expired := false
	for e := m.sent.Front(); e != nil; e = m.sent.Front() {
		d := e.Value.(*delivery)
		if !d.sentAt.Add(m.timeout()).Before(now) {
			break
		}
		m.schedule(d, 0, "ack timeout", now)
		expired = true
	}
	if m.keyed != nil {
		m.beginByKey(true, true)
		return
	}
	if expired || m.dueAt(now) != nil || m.retriable() || (m.room() && m.lag()) {
		m.begin()
	}
}

// timeout is the ack timeout; zero is not never but at every tick.
func (m *imitator) timeout() time.Duration {
	if m.rules.has(trapTicks) {
		return m.policy.AckTimeout
	}
	return m.policy.ackTimeout()
}

// lag says whether the dispatcher believes that there is something to deliver.
func (m *imitator) lag() bool {
	at, known := m.cursor.at()
	if !known {
		return m.sub.topic.head > 0
	}
	return at+1 < m.sub.topic.head
}

// unread says whether the dispatcher believes that there is something to read. An acknowledged offset above one that is not counts
// in neither of the two that it looks at, which is why a read can find nothing.
func (m *imitator) unread() bool {
	seen, known := m.cursor.at()
	if last := m.order.Back(); last != nil {
		seen, known = max(seen, last.Value.(*delivery).offset), true
	}
	if !known {
		return m.sub.topic.head > 0
	}
	return seen+1 < m.sub.topic.head
}

func (m *imitator) room() bool { return len(m.inFlight) < m.window }

// retriable says whether an exhausted message can be tried to be got rid of.
func (m *imitator) retriable() bool { return m.spent > 0 && m.policy.Poison != Block }

// dueAt returns the message that is to be sent again next, nil if none is due.
func (m *imitator) dueAt(now time.Time) *delivery {
	if m.waiting.Len() == 0 || m.waiting.items[0].due.After(now) {
		return nil
	}
	return m.waiting.items[0]
}

// admit takes a message into what is in flight.
func (m *imitator) admit(s stored) *delivery {
	d := &delivery{stored: s}
	m.inFlight[d.offset] = d
	after := m.order.Back()
	for after != nil && after.Value.(*delivery).offset > d.offset {
		after = after.Prev()
	}
	if after == nil {
		d.inOrder = m.order.PushFront(d)
	} else {
		d.inOrder = m.order.InsertAfter(d, after)
	}
	return d
}

// unlink takes d out of the collection of its state.
func (m *imitator) unlink(d *delivery) {
	switch d.state {
	case stateSent:
		m.sent.Remove(d.inSent)
	case stateWaiting:
		heap.Remove(&m.waiting, d.inPile)
	case stateExhausted:
		m.spent--
	}
	d.state = stateReady
}

// remove ends d: it was acknowledged, dropped or dead-lettered.
func (m *imitator) remove(d *delivery) {
	held := d.state == stateHeld
	m.unlink(d)
	m.order.Remove(d.inOrder)
	delete(m.inFlight, d.offset)
	m.cursor.done(d.offset)
	if m.keyed == nil || held {
		return
	}
	if follower := m.keyed.locks.leave(d); follower != nil {
		follower.state = stateReady
		m.keyed.freed.push(follower)
	}
}

// makeDue makes d wait for the next dispatch only.
func (m *imitator) makeDue(d *delivery) { m.wait(d, time.Now()) }

func (m *imitator) wait(d *delivery, due time.Time) {
	m.unlink(d)
	d.state, d.due = stateWaiting, due
	heap.Push(&m.waiting, d)
}

// schedule decides about a message that was nacked or not acknowledged in time.
func (m *imitator) schedule(d *delivery, asked time.Duration, reason string, now time.Time) {
	d.reason = reason
	if d.count <= m.policy.MaxRedeliveries {
		due := now.Add(m.policy.delay(d.count, asked))
		if due.After(now) && m.rules.has(trapTicks) {
			due = due.Add(1) // a tick is never quite as early as a whole number of ticks after the last one
		}
		m.wait(d, due)
		return
	}
	m.unlink(d)
	d.state = stateExhausted
	m.spent++
	t := m.sub.topic
	t.broker.log.Warn("message delivered too often", "topic", t.name, "subscription", m.sub.name, "offset", d.offset,
		"deliveries", d.count, "reason", d.reason, "policy", m.policy.Poison)
}

// requeue makes due what a consumer has in flight, whatever it was waiting for; that is everything where only one is served.
func (m *imitator) requeue(c *consumer) {
	for e := m.order.Front(); e != nil; e = e.Next() {
		d := e.Value.(*delivery)
		mine := d.to == c || d.to == nil || (m.sub.kind != shared && m.keyed == nil)
		if mine && (d.state == stateSent || d.state == stateWaiting) {
			m.makeDue(d)
		}
	}
}
