package danubetest

import "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"

// A picker chooses consumers by the rules of a subscription type.
type picker interface {
	// any says whether there is a consumer that can take messages now.
	any() bool
	// pick returns the consumer for m, nil when nobody can take it now.
	pick(m *danubepb.StreamMessage) *consumer
	// joined says that a consumer has opened its stream.
	joined()
}

// first serves one consumer for as long as it is there, then the next in order of arrival: Exclusive and Failover.
type first struct {
	sub     *subscription
	usable  func(*consumer) bool
	current *consumer
	only    bool // never the next
}

func (p *first) any() bool { return p.pick(nil) != nil }

func (p *first) pick(*danubepb.StreamMessage) *consumer {
	if p.current != nil && !p.current.removed && p.usable(p.current) {
		return p.current
	}
	p.current = nil
	for _, c := range p.sub.consumers {
		if p.usable(c) {
			p.current = c
			break
		}
		if p.only {
			break
		}
	}
	return p.current
}

// firstOnly says whether a subscription serves its first consumer or nobody.
func (t traps) firstOnly(kind danubepb.ConsumerRequest_SubscriptionType) bool {
	return kind == failover && t.has(trapFailover)
}

func (p *first) joined() {}

// roundRobin serves all consumers in turn, in order of arrival: Shared.
type roundRobin struct {
	sub    *subscription
	usable func(*consumer) bool
	turn   int
}

func (p *roundRobin) any() bool { return anyOf(p.sub, p.usable) }

func (p *roundRobin) pick(*danubepb.StreamMessage) *consumer {
	n := len(p.sub.consumers)
	for range n {
		c := p.sub.consumers[p.turn%n]
		p.turn = (p.turn + 1) % n
		if p.usable(c) {
			return c
		}
	}
	return nil
}

func (p *roundRobin) joined() {}

func anyOf(s *subscription, usable func(*consumer) bool) bool {
	for _, c := range s.consumers {
		if usable(c) {
			return true
		}
	}
	return false
}

// reading is what a reliable subscription asks of a consumer: messages for one that never opens its stream would lie in its outbox
// while others wait.
func reading(c *consumer) bool { return c.stream != nil }

// listening is what a non-reliable subscription asks: what is published between Subscribe and ReceiveMessages must not be missed.
func listening(c *consumer) bool { return c.stream != nil || c.pending }
