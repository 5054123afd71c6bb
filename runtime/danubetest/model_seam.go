package danubetest

import "time"

// What follows is the seam to the topic: each call becomes commands.

func (m *imitator) published() {
	m.reader.published()
	m.enqueue(command{kind: wakeUp})
}

func (m *imitator) ack(offset uint64) { m.enqueue(command{kind: ackOne, offset: offset}) }

func (m *imitator) nack(offset uint64, delay time.Duration, reason string) {
	m.enqueue(command{kind: nackOne, offset: offset, delay: delay, reason: reason})
}

// joined says that c is a new consumer.
func (m *imitator) joined(c *consumer) { m.enqueue(command{kind: join, to: c}) }

// lost keeps what lies in the places of c: the next stream gets that first, then what is sent again.
func (m *imitator) lost(c *consumer) {
	m.streamEnded(c)
	if m.keyed != nil && m.rules.has(trapKeyEvict) {
		return // nothing is known of it before the next tick
	}
	m.enqueue(command{kind: requeue, to: c}, command{kind: wakeUp})
}

// opened hands over what lies in the places of c. What the stream before had taken comes only at its ack timeout.
func (m *imitator) opened(c *consumer) {
	m.streamEnded(c)
	if !m.rules.has(trapSecondStream) && (m.keyed == nil || !m.rules.has(trapKeyEvict)) {
		m.takeBack(c)
		m.enqueue(command{kind: requeue, to: c}, command{kind: wakeUp})
		return
	}
	if c.outbox.len() > 0 {
		c.wake()
	}
	m.run()
	m.rearm()
}

// takeBack empties the places of c as if nothing in them had been sent.
func (m *imitator) takeBack(c *consumer) {
	for c.outbox.len() > 0 {
		if d := m.inFlight[c.outbox.pop().offset]; d != nil {
			d.count--
		}
	}
}

// streamEnded forgets what a stream had taken ahead of its client.
func (m *imitator) streamEnded(c *consumer) {
	for m.rules.has(trapHandOver) && c.outbox.len() > consumerPlaces {
		c.outbox.pop()
	}
}

// taken means that a place became free.
func (m *imitator) taken(*delivery, time.Time) {
	m.run()
	m.rearm()
}

// configure is only for the traps that are off: a living dispatcher of the real broker takes nothing new, and is not woken either.
func (m *imitator) configure(window int, policy FailurePolicy) {
	if window == m.window && policy == m.policy {
		return
	}
	m.window, m.policy = window, policy
	for e := m.order.Front(); e != nil; e = e.Next() {
		if d := e.Value.(*delivery); d.state == stateExhausted {
			m.unlink(d)
			m.schedule(d, 0, d.reason, time.Now())
		}
	}
	m.enqueue(command{kind: wakeUp})
}

func (m *imitator) floor() uint64 {
	floor := m.reader.floor()
	if oldest := m.order.Front(); oldest != nil {
		floor = min(floor, oldest.Value.(*delivery).offset)
	}
	return floor
}

func (m *imitator) position() position {
	p := position{next: m.reader.floor()}
	for e := m.order.Front(); e != nil; e = e.Next() {
		p.unacked = append(p.unacked, e.Value.(*delivery).offset)
	}
	return p
}

func (m *imitator) backlog() int { return len(m.inFlight) + m.reader.unread() }

func (m *imitator) unacked() int { return len(m.inFlight) }

func (m *imitator) blocked() bool { return m.spent > 0 && m.policy.Poison == Block }

func (m *imitator) stop() {
	m.stopped = true
	m.timer.Stop()
	for m.waiters.len() > 0 {
		m.waiters.pop().finish(errDispatcherGone)
	}
}

// enqueue gives commands their places and handles what can be handled. The caller finds a ticket at the subscription if some of them
// have to wait for a place.
func (m *imitator) enqueue(commands ...command) {
	m.sub.ticket = nil
	for i, c := range commands {
		if m.full() {
			m.run() // what was published may have ended a read
		}
		if m.full() {
			tk := &ticket{topic: m.sub.topic, commands: commands[i:], done: make(chan struct{})}
			m.waiters.push(tk)
			m.sub.ticket = tk
			break
		}
		m.queue.push(c)
		m.run()
	}
	m.rearm()
}

func (m *imitator) full() bool {
	return m.rules.has(trapQueue) && (m.queue.len() >= m.places || m.waiters.len() > 0)
}

// refill gives a place that became free to whoever waits longest.
func (m *imitator) refill() {
	for m.waiters.len() > 0 && m.queue.len() < m.places {
		tk := m.waiters.at(0)
		if !tk.finished {
			m.queue.push(tk.commands[0])
			tk.commands = tk.commands[1:]
			if len(tk.commands) > 0 {
				continue
			}
			tk.finish(nil)
		}
		m.waiters.pop()
	}
}

// fire is the timer's function.
func (m *imitator) fire() {
	t := m.sub.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.stopped {
		return
	}
	m.overdue, m.armed = true, time.Time{}
	now := time.Now()
	for !m.nextTick.After(now) {
		m.nextTick = m.nextTick.Add(tickEvery)
	}
	m.run()
	m.rearm()
	t.trim()
	t.broker.changed()
}

// rearm sets the timer for the next tick, or without the trap ticks for whatever is to happen before.
func (m *imitator) rearm() {
	if m.stopped {
		return
	}
	at := m.nextTick
	if !m.rules.has(trapTicks) && !m.overdue && m.present() {
		at = m.earlier(at)
	}
	if at.Equal(m.armed) {
		return
	}
	m.armed = at
	if m.timer == nil {
		m.timer = time.AfterFunc(time.Until(at), m.fire)
		return
	}
	m.timer.Reset(time.Until(at))
}

// earlier returns the time of the first ack timeout or redelivery to come if that is before at.
func (m *imitator) earlier(at time.Time) time.Time {
	now := time.Now()
	if e := m.sent.Front(); e != nil {
		if end := e.Value.(*delivery).sentAt.Add(m.timeout()); end.After(now) && end.Before(at) {
			at = end
		}
	}
	if m.waiting.Len() > 0 {
		if due := m.waiting.items[0].due; due.After(now) && due.Before(at) {
			at = due
		}
	}
	return at
}
