package danubetest

import "time"

// keyed is what the real broker's dispatcher of a Key-Shared subscription has in addition. It reads one message per wake-up or tick,
// redelivers on ticks only, and has one message per key in flight; the others of the key wait behind it within the window.
type keyed struct {
	locks  keyLocks
	freed  fifo[*delivery]   // those whose turn on their key has come
	absent map[*consumer]int // ticks in a row at which a consumer was not there

	resending bool // the dispatch under way is a tick's
	mayRead   bool // the dispatch under way may read
	hasRead   bool // and has done so
}

// evictAfter is how many ticks a consumer may be absent before it loses its place on the ring.
const evictAfter = 6

// handleByKey does what a command says on a Key-Shared subscription.
func (m *imitator) handleByKey(c command) {
	switch c.kind {
	case wakeUp:
		m.beginByKey(false, true)
	case ackOne:
		if d := m.inFlight[c.offset]; d != nil && d.state == stateSent {
			m.remove(d)
			m.acknowledged()
		}
		m.beginByKey(false, !m.rules.has(trapKeyDrain))
	case nackOne:
		if d := m.inFlight[c.offset]; d != nil && (d.state == stateSent || d.state == stateWaiting) {
			m.schedule(d, c.delay, c.reason, time.Now())
		}
	case requeue:
		m.requeue(c.to)
		m.beginByKey(true, true)
	case join:
		m.members = append(m.members, c.to)
	}
}

// beginByKey starts a dispatch; run carries it through.
func (m *imitator) beginByKey(resend, read bool) {
	m.exclusive, m.parked = nil, false
	m.keyed.resending, m.keyed.mayRead, m.keyed.hasRead = resend, read, false
	if resend {
		m.resolve()
	}
	m.dispatching, m.began = true, time.Now()
}

// stepByKey decides what comes next. It returns false when the dispatch is over.
func (m *imitator) stepByKey() bool {
	k := m.keyed
	if k.freed.len() > 0 {
		m.placeByKey(k.freed.pop())
		return true
	}
	if d := m.dueAt(m.began); k.resending && d != nil {
		m.unlink(d)
		m.placeByKey(d)
		return true
	}
	wait := m.rules.has(trapKeyFreeze) && !k.hasRead
	again := !k.hasRead || !m.rules.has(trapKeyDrain)
	if !k.mayRead || !again || !m.room() || !m.lag() || !m.present() || m.reader.dead() || (!wait && !m.reader.ready()) {
		return false
	}
	k.hasRead, m.reading = true, true
	return true
}

// readByKey decides about a message that was just read: what no filter lets through counts as acknowledged.
func (m *imitator) readByKey(d *delivery) {
	if !m.keyed.locks.enter(d) {
		d.state = stateHeld
		return
	}
	m.placeByKey(d)
}

// placeByKey hands d over to the owner of its key. While that is absent it comes up again at each tick.
func (m *imitator) placeByKey(d *delivery) {
	key := routingKey(d.msg)
	var eligible []*consumer
	for _, c := range m.members {
		if !c.removed && c.wants(key) {
			eligible = append(eligible, c)
		}
	}
	c := onRing(eligible, key)
	switch {
	case c == nil:
		m.remove(d)
	case !c.connected():
		m.wait(d, m.nextTick.Add(-1))
	default:
		m.handing, m.handTo = d, c
	}
}

// evict takes consumers that were absent for too long off the ring, for good: what they had in flight counts as acknowledged.
func (m *imitator) evict() {
	if !m.rules.has(trapKeyEvict) {
		return
	}
	var stay []*consumer
	for _, c := range m.members {
		if c.connected() {
			delete(m.keyed.absent, c)
			stay = append(stay, c)
			continue
		}
		m.keyed.absent[c]++
		if m.keyed.absent[c] < evictAfter {
			stay = append(stay, c)
			continue
		}
		delete(m.keyed.absent, c)
		m.forgetInFlight(c)
	}
	m.members = stay
}

// forgetInFlight counts everything that was sent to c as acknowledged.
func (m *imitator) forgetInFlight(c *consumer) {
	for e := m.order.Front(); e != nil; {
		d := e.Value.(*delivery)
		e = e.Next() // remove may take d out of the list
		if d.to == c && d.state != stateHeld && d.state != stateDying {
			m.remove(d)
		}
	}
}
