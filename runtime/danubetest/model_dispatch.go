package danubetest

import "time"

// begin starts a dispatch; run carries it through.
func (m *imitator) begin() {
	m.exclusive = nil
	if m.sub.kind != shared {
		if m.exclusive = m.served(); m.exclusive == nil {
			return
		}
	}
	m.resolve()
	m.dispatching, m.parked, m.began = true, false, time.Now()
}

// dispatch goes on with the dispatch under way. It returns false while that waits.
func (m *imitator) dispatch() bool {
	for {
		switch {
		case m.handing != nil:
			if !m.handOver() {
				return false
			}
		case m.reading:
			if !m.read() {
				return false
			}
		default:
			if !m.step() {
				return true
			}
		}
	}
}

// step decides what comes next: what is due, then new messages. It returns false when the dispatch is over.
func (m *imitator) step() bool {
	if m.keyed != nil {
		return m.stepByKey()
	}
	if m.parked {
		return false
	}
	if d := m.dueAt(m.began); d != nil {
		if c := m.target(); c != nil {
			m.unlink(d)
			m.handing, m.handTo = d, c
			return true
		}
	}
	if m.blocked() || !m.room() || m.reader.dead() || !(m.unread() || m.reader.pending()) || (!m.rules.has(trapFreeze) && !m.reader.ready()) {
		return false
	}
	m.reading = true
	return true
}

// read takes the next message from the reader, and waits until there is one. Whoever is there by then gets it; while nobody is, one
// message is read per dispatch and stays due, uncounted.
func (m *imitator) read() bool {
	s, ok := m.reader.next()
	if !ok && m.reader.dead() {
		m.reading = false
		return true
	}
	if !ok {
		return false
	}
	m.reading = false
	m.cursor.delivered(s.offset)
	d := m.admit(s)
	if m.keyed != nil {
		m.readByKey(d)
		return true
	}
	if c := m.target(); c != nil {
		m.handing, m.handTo = d, c
		return true
	}
	m.makeDue(d)
	m.parked = true
	return true
}

// handOver puts the message in hand into a place of its consumer, and waits until there is one.
func (m *imitator) handOver() bool {
	d, c := m.handing, m.handTo
	if c.removed {
		m.handing = nil
		m.makeDue(d)
		return true
	}
	if m.rules.has(trapHandOver) && c.outbox.len() >= c.places() {
		return false
	}
	m.handing = nil
	d.count++
	d.state, d.to, d.sentAt = stateSent, c, time.Now()
	d.inSent = m.sent.PushBack(d)
	c.push(&delivery{stored: d.stored, to: c, count: d.count - 1}) // each send is a copy of its own
	return true
}

// resolve gets rid of exhausted messages as the poison policy says.
func (m *imitator) resolve() {
	if !m.retriable() {
		return
	}
	for e := m.order.Front(); e != nil; {
		d := e.Value.(*delivery)
		e = e.Next() // remove may take d out of the list
		if d.state != stateExhausted {
			continue
		}
		if m.policy.Poison == Drop {
			m.remove(d)
			continue
		}
		m.unlink(d)
		d.state = stateDying
		t := m.sub.topic
		t.broker.deadLetters.add(deadLetter{
			topic: t, sub: m.sub, d: d, target: m.policy.DeadLetterTopic, done: func(err error) { m.deadLettered(d, err) },
		})
	}
}

// deadLettered is called with the topic locked when the copy of d was published, or could not be: then a later tick tries again.
func (m *imitator) deadLettered(d *delivery, err error) {
	if m.stopped || m.inFlight[d.offset] != d || d.state != stateDying {
		return
	}
	if err != nil {
		d.state = stateExhausted
		m.spent++
		return
	}
	m.remove(d)
	m.enqueue(command{kind: wakeUp})
}

// served is the consumer of a subscription that serves only one, nil when it is not there.
func (m *imitator) served() *consumer {
	for _, c := range m.members {
		switch {
		case c.removed: // forgotten by a test, as after a restart
			continue
		case c.connected():
			return c
		case m.rules.firstOnly(m.sub.kind):
			return nil
		}
	}
	return nil
}

// target is the consumer for the message in hand; on Shared the next in turn that is there.
func (m *imitator) target() *consumer {
	if m.exclusive != nil {
		if m.exclusive.removed {
			return nil
		}
		return m.exclusive
	}
	for range m.members {
		c := m.members[m.turn%len(m.members)]
		m.turn = (m.turn + 1) % len(m.members)
		if !c.removed && c.connected() {
			return c
		}
	}
	return nil
}

// present says whether any consumer is there.
func (m *imitator) present() bool { return m.served() != nil }
