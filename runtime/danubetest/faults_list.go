package danubetest

import (
	"maps"
	"slices"
)

// A Fault is something that is switched on to go wrong.
type Fault struct {
	Kind   string // such as "refuse" or "lose-acks"
	Target string // the method, client, topic, subscription or consumer that it hits; empty when it hits the broker
	Detail string // what happens, in words
	Left   int    // how many times more, or Always
}

// Faults lists the faults that are switched on, in a stable order.
func (b *Broker) Faults() []Fault {
	list := b.faults.list()
	if b.Stopped() {
		list = append(list, Fault{Kind: "stop", Detail: "the broker has stopped; a restart makes it serve again", Left: Always})
	}
	for _, t := range b.allTopics() {
		t.mu.Lock()
		list = append(list, t.faults()...)
		t.mu.Unlock()
	}
	return list
}

// list gives the faults of calls and connections.
func (f *faults) list() (list []Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, method := range slices.Sorted(maps.Keys(f.refuse)) {
		r := f.refuse[method]
		list = append(list, Fault{"refuse", method, "calls end with " + r.code.String(), r.left})
	}
	for _, method := range slices.Sorted(maps.Keys(f.delay)) {
		d := f.delay[method]
		list = append(list, Fault{"delay", method, "calls wait " + d.wait.String(), d.left})
	}
	for _, client := range slices.Sorted(maps.Keys(f.cut)) {
		list = append(list, Fault{"cut-off", client, "its connections are closed", Always})
	}
	if f.stop > 0 {
		list = append(list, Fault{"stop-after", "", "publishes until the broker stops", int(f.stop)})
	}
	return list
}

// faults gives those of a topic, which is locked.
func (t *topic) faults() (list []Fault) {
	if t.duplicates > 0 {
		list = append(list, Fault{"duplicate", t.name, "deliveries come twice", t.duplicates})
	}
	for _, name := range slices.Sorted(maps.Keys(t.subs)) {
		s := t.subs[name]
		if s.lostAcks != 0 {
			list = append(list, Fault{"lose-acks", t.name + " " + name, "acknowledgements are answered and forgotten", s.lostAcks})
		}
		for _, c := range s.consumers {
			if c.unhealthy {
				list = append(list, Fault{"close-health", t.name + " " + name + " " + c.name, "HealthCheck answers CLOSE until it subscribes again", Always})
			}
		}
	}
	return list
}

// ClearFaults ends every fault but a stop, which only [Broker.Restart] ends.
func (b *Broker) ClearFaults() {
	f := &b.faults
	f.mu.Lock()
	f.refuse, f.delay, f.cut, f.stop = nil, nil, nil, 0
	f.count()
	f.mu.Unlock()
	for _, t := range b.allTopics() {
		t.mu.Lock()
		t.duplicates = 0
		for _, s := range t.subs {
			s.lostAcks = 0
			for _, c := range s.consumers {
				c.unhealthy = false
			}
		}
		t.mu.Unlock()
	}
	b.changed()
}
