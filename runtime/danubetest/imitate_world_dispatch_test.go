package danubetest_test

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// settle goes on until nothing can move any more and returns every world that this may lead to.
func (w *world) settle() []*world {
	for {
		next := w.moves()
		switch len(next) {
		case 0:
			return []*world{w}
		case 1:
			next[0](w)
			continue
		}
		found := make(map[string]*world)
		for _, move := range next {
			fork := w.copy()
			move(fork)
			for _, end := range fork.settle() {
				found[end.key()] = end
			}
		}
		return slices.Collect(maps.Values(found))
	}
}

// moves lists what can happen next, more than one when chance decides: the tick or what is queued, and which of the calls that can
// go on. Calls go on while the dispatcher works, which matters only where it finds the queue empty and a tick overdue.
func (w *world) moves() []func(*world) {
	s, calls := w.sub, w.ready()
	if s == nil {
		return calls
	}
	if len(s.work) > 0 {
		if s.stuck() {
			return calls
		}
		return []func(*world){(*world).proceed}
	}
	queued := len(s.queue) > 0
	switch {
	case s.overdue && queued:
		return []func(*world){(*world).tick, (*world).take}
	case s.overdue:
		return append(calls, (*world).tick)
	case queued:
		return []func(*world){(*world).take}
	}
	return calls
}

// ready lists the calls that can go on: the first in line for a free table, and those whose stream before is closed.
func (w *world) ready() (all []func(*world)) {
	if w.holder == 0 && len(w.table) > 0 {
		all = append(all, func(w *world) {
			c := w.table[0]
			w.table = w.table[1:]
			w.enter(c)
		})
	}
	for i, c := range w.opening {
		if w.sub != nil && w.sub.clients[c.name] != nil && w.sub.clients[c.name].closing != 0 {
			continue
		}
		all = append(all, func(w *world) {
			w.opening = slices.Delete(slices.Clone(w.opening), i, i+1)
			w.open(c)
		})
	}
	return all
}

// take handles the first command of the queue.
func (w *world) take() {
	s := w.sub
	c := s.queue[0]
	s.queue = s.queue[1:]
	w.place()
	m := s.inFlight[c.offset]
	switch c.what {
	case "wake-up":
		if !w.behind() {
			return
		}
	case "join":
		s.members = append(s.members, c.name)
		return
	case "ack":
		if m != nil && m.state == "sent" {
			s.finish(c.offset)
		}
	case "nack":
		if m != nil {
			w.fail(m, c.delay)
		}
	case "requeue":
		for _, m := range s.inFlight {
			if (s.kind != shared || m.to == c.name) && m.state != "exhausted" {
				m.state, m.until = "waiting", w.now
			}
		}
	}
	w.dispatch()
}

// tick looks at what time has brought, if a consumer is there.
func (w *world) tick() {
	s := w.sub
	s.overdue, s.ticked, s.lag, s.blocked = false, true, 0, s.count("exhausted")
	if s.cursor != nil && w.behind() {
		s.lag = w.head - 1 - *s.cursor
	}
	if !slices.ContainsFunc(s.members, s.active) {
		return
	}
	expired := false
	for _, m := range s.inFlight {
		if m.state == "sent" && m.until.Before(w.now) {
			w.fail(m, 0)
			expired = true
		}
	}
	retried := s.policy.Poison != danubetest.Block && s.count("exhausted") > 0
	if expired || retried || len(w.due()) > 0 || (len(s.inFlight) < w.window && w.behind()) {
		w.dispatch()
	}
}

// behind says that the cursor has not reached the newest message.
func (w *world) behind() bool {
	if w.sub.cursor == nil {
		return w.head > 0
	}
	return *w.sub.cursor+1 < w.head
}

func (s *worldSub) active(name string) bool { return s.clients[name].active() }

func (s *worldSub) count(state string) (n int) {
	for _, m := range s.inFlight {
		if m.state == state {
			n++
		}
	}
	return n
}

// fail schedules a message that was nacked or not acknowledged in time.
func (w *world) fail(m *worldMessage, asked time.Duration) {
	p := w.sub.policy
	if m.count > p.MaxRedeliveries {
		m.state = "exhausted"
		return
	}
	delay := p.BaseDelay
	for n := uint32(1); !p.Fixed && n < m.count; n++ {
		delay = min(2*delay, p.MaxDelay)
	}
	m.state, m.until = "waiting", w.now.Add(min(p.MaxDelay, max(delay, asked)))
}

// finish ends a message: the cursor goes on over every offset since the first delivered one that has ended.
func (s *worldSub) finish(offset uint64) {
	delete(s.inFlight, offset)
	s.done[offset] = true
	next := *s.first
	if s.cursor != nil {
		next = *s.cursor + 1
	}
	for ; s.done[next]; next++ {
		delete(s.done, next)
		at := next
		s.cursor = &at
	}
}

// due lists what is to be sent again, the longest due first.
func (w *world) due() []uint64 {
	all := slices.Sorted(maps.Keys(w.sub.inFlight))
	all = slices.DeleteFunc(all, func(offset uint64) bool {
		m := w.sub.inFlight[offset]
		return m.state != "waiting" || m.until.After(w.now)
	})
	slices.SortStableFunc(all, func(a, b uint64) int {
		return cmp.Compare(w.sub.inFlight[a].until.UnixNano(), w.sub.inFlight[b].until.UnixNano())
	})
	return all
}

// dispatch makes the list of what a dispatch has to do.
func (w *world) dispatch() {
	s := w.sub
	served := ""
	if s.kind != shared {
		if len(s.members) == 0 || !s.active(s.members[0]) {
			return
		}
		served = s.members[0]
	}
	for offset, m := range s.inFlight {
		if m.state == "exhausted" && s.policy.Poison == danubetest.Drop {
			s.finish(offset)
		}
	}
	s.work = []worldJob{{what: "read", to: served}}
	due := w.due()
	for _, offset := range slices.Backward(due) {
		s.work = append(s.work, worldJob{what: "send", offset: offset, to: served})
	}
}

// stuck says that the dispatch under way waits: in the read for a message, or in the hand-over for a place.
func (s *worldSub) stuck() bool {
	job := s.work[len(s.work)-1]
	switch job.what {
	case "hand":
		client := s.clients[job.to]
		return client.stream == 0 && len(client.places) >= worldPlaces
	case "get":
		return len(s.ring) == 0
	}
	return false
}

// proceed does the next part of the dispatch under way.
func (w *world) proceed() {
	s := w.sub
	job := s.work[len(s.work)-1]
	s.work = s.work[:len(s.work)-1]
	switch job.what {
	case "read":
		if s.policy.Poison == danubetest.Block && s.count("exhausted") > 0 {
			return
		}
		if len(s.inFlight) < w.window && w.unread() {
			s.work = append(s.work, job, worldJob{what: "get", to: job.to})
		}
	case "get":
		w.get(job)
	case "send":
		if to := s.target(job.to); to != "" {
			s.work = append(s.work, worldJob{what: "hand", offset: job.offset, to: to})
		}
	case "hand":
		m, client := s.inFlight[job.offset], s.clients[job.to]
		m.count++
		m.state, m.until, m.to = "sent", w.now.Add(s.policy.AckTimeout), job.to
		if client.stream == 0 {
			client.places = append(client.places, job.offset)
		} else {
			client.delivered = append(client.delivered, job.offset)
		}
	}
}

// get takes a message out of the ring. While nobody is there it stays due, and the dispatch ends.
func (w *world) get(job worldJob) {
	s := w.sub
	offset := s.ring[0]
	s.ring = s.ring[1:]
	if s.first == nil {
		s.first = &offset
	}
	s.inFlight[offset] = &worldMessage{state: "waiting", until: w.now}
	if to := s.target(job.to); to != "" {
		s.work = append(s.work, worldJob{what: "hand", offset: offset, to: to})
	} else {
		s.work = nil
	}
}

// unread says whether the dispatcher believes that there is something to read.
func (w *world) unread() bool {
	s := w.sub
	if len(s.inFlight) == 0 && s.cursor == nil {
		return w.head > 0
	}
	seen := slices.Max(append(slices.Collect(maps.Keys(s.inFlight)), 0))
	if s.cursor != nil {
		seen = max(seen, *s.cursor)
	}
	return seen+1 < w.head
}

// target is the one served, or on Shared the next active one in turn; empty when there is none.
func (s *worldSub) target(served string) string {
	if s.kind != shared {
		return served
	}
	for range s.members {
		name := s.members[s.turn%len(s.members)]
		s.turn = (s.turn + 1) % len(s.members)
		if s.active(name) {
			return name
		}
	}
	return ""
}
