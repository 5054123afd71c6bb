package danubetest_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A model says what one reliable Exclusive or Shared subscription must do, as simply as can be: a list of messages, and rules that
// look at all of them each time. The broker is compared with it step by step.
type model struct {
	window int
	policy danubetest.FailurePolicy
	now    time.Time

	head     uint64
	next     uint64 // first offset never handed over
	inFlight map[uint64]*modelMessage
	there    map[string]bool // consumers with an open stream
	expected []uint64        // handed over since the last look, in order
	finished map[uint64]bool // acknowledged or dropped
}

type modelMessage struct {
	state modelState
	to    string // who had it last
	count uint32
	until time.Time // end of the ack timeout, or when it is due again
}

type modelState int

const (
	modelReady modelState = iota
	modelSent
	modelWaiting
	modelExhausted
)

func newModel(window int, policy danubetest.FailurePolicy, now time.Time) *model {
	return &model{
		window: window, policy: policy, now: now,
		inFlight: make(map[uint64]*modelMessage), there: make(map[string]bool), finished: make(map[uint64]bool),
	}
}

// offsets lists what is in flight, in order.
func (m *model) offsets() []uint64 {
	var all []uint64
	for offset := range m.inFlight {
		all = append(all, offset)
	}
	slices.Sort(all)
	return all
}

func (m *model) count(s modelState) int {
	n := 0
	for _, msg := range m.inFlight {
		if msg.state == s {
			n++
		}
	}
	return n
}

// dispatch hands over what comes again, then what is new, as far as window and poison policy allow.
func (m *model) dispatch() {
	if len(m.there) == 0 {
		return
	}
	for _, offset := range m.offsets() {
		if m.inFlight[offset].state == modelReady {
			m.send(offset)
		}
	}
	for m.next < m.head && len(m.inFlight) < m.window && m.count(modelExhausted) == 0 {
		m.inFlight[m.next] = &modelMessage{}
		m.send(m.next)
		m.next++
	}
}

func (m *model) send(offset uint64) {
	msg := m.inFlight[offset]
	msg.state, msg.until = modelSent, m.now.Add(m.policy.AckTimeout)
	msg.count++
	m.expected = append(m.expected, offset)
}

func (m *model) publish() {
	m.head++
	m.dispatch()
}

func (m *model) ack(offset uint64) {
	if msg := m.inFlight[offset]; msg != nil && msg.state == modelSent {
		m.finish(offset)
		m.dispatch()
	}
}

func (m *model) finish(offset uint64) {
	delete(m.inFlight, offset)
	m.finished[offset] = true
}

func (m *model) nack(offset uint64, asked time.Duration) {
	if msg := m.inFlight[offset]; msg != nil && (msg.state == modelSent || msg.state == modelWaiting) {
		m.fail(offset, asked)
		m.dispatch()
	}
}

// fail schedules the next delivery, or applies the poison policy after the last.
func (m *model) fail(offset uint64, asked time.Duration) {
	msg := m.inFlight[offset]
	switch {
	case msg.count <= m.policy.MaxRedeliveries:
		delay := m.policy.BaseDelay
		for n := uint32(1); !m.policy.Fixed && n < msg.count; n++ {
			delay = min(2*delay, m.policy.MaxDelay)
		}
		msg.state, msg.until = modelWaiting, m.now.Add(min(m.policy.MaxDelay, max(delay, asked)))
	case m.policy.Poison == danubetest.Drop:
		m.finish(offset)
	default:
		msg.state = modelExhausted
	}
}

func (m *model) connect(name string) {
	m.there[name] = true
	m.giveBack(name)
	m.dispatch()
}

func (m *model) disconnect(name string) {
	delete(m.there, name)
	m.giveBack(name)
	m.dispatch()
}

// giveBack makes what a consumer had ready at once, whatever it waited for.
func (m *model) giveBack(name string) {
	for _, msg := range m.inFlight {
		if msg.to == name && msg.state != modelExhausted {
			msg.state = modelReady
		}
	}
}

// restart forgets the consumers and all that was counted.
func (m *model) restart() {
	clear(m.there)
	for _, msg := range m.inFlight {
		*msg = modelMessage{}
	}
}

// advance lets time pass, one deadline after the other.
func (m *model) advance(d time.Duration) {
	end := m.now.Add(d)
	for {
		at, any := m.nextDeadline()
		if !any || at.After(end) {
			m.now = end
			return
		}
		m.now = at
		m.over(modelSent, func(offset uint64) { m.fail(offset, 0) })
		m.over(modelWaiting, func(offset uint64) { m.inFlight[offset].state = modelReady })
		m.dispatch()
	}
}

// over calls do for what is in state and whose time is over.
func (m *model) over(state modelState, do func(offset uint64)) {
	for _, offset := range m.offsets() {
		if msg := m.inFlight[offset]; msg.state == state && !msg.until.After(m.now) {
			do(offset)
		}
	}
}

func (m *model) nextDeadline() (time.Time, bool) {
	var all []time.Time
	for _, msg := range m.inFlight {
		if msg.state == modelSent || msg.state == modelWaiting {
			all = append(all, msg.until)
		}
	}
	if len(all) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(all, func(a, b time.Time) int { return cmp.Compare(a.UnixNano(), b.UnixNano()) }), true
}
