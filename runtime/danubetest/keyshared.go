package danubetest

import "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"

// byKey serves all messages of a key to one consumer, for as long as the consumers stay the same: Key-Shared. A new key goes to the
// consumer that has the fewest, so that the work is spread whatever the keys are.
type byKey struct {
	sub    *subscription
	usable func(*consumer) bool
	owners map[string]*consumer
}

// maxOwners bounds the memory for keys that were seen once.
const maxOwners = 1 << 16

func newByKey(sub *subscription, usable func(*consumer) bool) *byKey {
	return &byKey{sub: sub, usable: usable, owners: make(map[string]*consumer)}
}

// routingKey is what a message is routed by. A key that is present counts even when it is empty.
func routingKey(m *danubepb.StreamMessage) string {
	if m.RoutingKey != nil {
		return m.GetRoutingKey()
	}
	return m.GetProducerName()
}

func (p *byKey) any() bool { return anyOf(p.sub, p.usable) }

func (p *byKey) pick(m *danubepb.StreamMessage) *consumer {
	key := routingKey(m)
	owner := p.owners[key]
	if owner != nil && !owner.removed && p.usable(owner) {
		return owner
	}
	var best *consumer
	for _, c := range p.sub.consumers {
		if p.usable(c) && c.wants(key) && (best == nil || c.keys < best.keys) {
			best = c
		}
	}
	if best == nil {
		return nil
	}
	if owner != nil {
		owner.keys--
	} else if len(p.owners) == maxOwners {
		p.joined()
	}
	p.owners[key] = best
	best.keys++
	return best
}

// joined spreads the keys anew over the consumers.
func (p *byKey) joined() {
	clear(p.owners)
	for _, c := range p.sub.consumers {
		c.keys = 0
	}
}

// wanted says whether the filters of any consumer, connected or not, let the message through.
func (p *byKey) wanted(m *danubepb.StreamMessage) bool {
	key := routingKey(m)
	for _, c := range p.sub.consumers {
		if c.wants(key) {
			return true
		}
	}
	return false
}

// keyLocks lets one message per key be in flight at a time, which keeps the order of a key also when it moves to another consumer.
// It holds what waits behind the message in flight; a key without an entry has none in flight.
type keyLocks map[string]*fifo[*delivery]

// enter takes the key of d, or puts d behind the message that has it and returns false.
func (l keyLocks) enter(d *delivery) bool {
	key := routingKey(d.msg)
	if behind, locked := l[key]; locked {
		behind.push(d)
		return false
	}
	l[key] = &fifo[*delivery]{}
	return true
}

// leave gives back the key of d, which is done, and returns the message that has it now, nil if none waited.
func (l keyLocks) leave(d *delivery) *delivery {
	key := routingKey(d.msg)
	behind := l[key]
	if behind.len() == 0 {
		delete(l, key)
		return nil
	}
	return behind.pop()
}

// wants says whether the consumer's filters let a key through. Without filters it takes all.
func (c *consumer) wants(key string) bool {
	for _, f := range c.filters {
		if glob(f, key) {
			return true
		}
	}
	return len(c.filters) == 0
}

// glob matches the whole of s: '*' stands for any run of bytes, '?' for one byte, everything else for itself.
func glob(pattern, s string) bool {
	star, restart := -1, 0 // place of the last '*', and where in s what follows it is tried next
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, restart = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			restart++
			p, i = star+1, restart
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
