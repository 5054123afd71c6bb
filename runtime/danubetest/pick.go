package danubetest

// A picker chooses the consumer of the next message.
type picker interface {
	// pick returns nil when no consumer can take a message now.
	pick() *consumer
}

// first serves one consumer for as long as it is there, then the next in order of arrival: Exclusive and Failover.
type first struct {
	sub     *subscription
	usable  func(*consumer) bool
	current *consumer
}

func (p *first) pick() *consumer {
	if p.current != nil && !p.current.removed && p.usable(p.current) {
		return p.current
	}
	p.current = nil
	for _, c := range p.sub.consumers {
		if p.usable(c) {
			p.current = c
			break
		}
	}
	return p.current
}

// roundRobin serves all consumers in turn, in order of arrival: Shared.
type roundRobin struct {
	sub    *subscription
	usable func(*consumer) bool
	turn   int
}

func (p *roundRobin) pick() *consumer {
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

// reading is what a reliable subscription asks of a consumer: messages for one that never opens its stream would lie in its outbox
// while others wait.
func reading(c *consumer) bool { return c.stream != nil }

// listening is what a non-reliable subscription asks: what is published between Subscribe and ReceiveMessages must not be missed.
func listening(c *consumer) bool { return c.stream != nil || c.pending }
