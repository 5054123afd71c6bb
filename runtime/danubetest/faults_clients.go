package danubetest

import (
	"context"
	"net"
)

// CutOff takes the network from one client until [Broker.LetIn]: its connections are closed, and so is each new one as soon as it
// uses it. The client is named as a producer or consumer, or by the address that it connects from, with or without port. What other
// clients send by the same connection is cut off with it. It returns how many connections were closed at once.
//
// An acknowledgement does not say which consumer it comes from: it counts as one of a cut-off client when all consumers of its
// subscription are cut off.
func (b *Broker) CutOff(client string) (closed int) {
	f := &b.faults
	f.mu.Lock()
	set(&f.cut, client, struct{}{}, true)
	f.count()
	f.mu.Unlock()
	doomed := b.connectionsOf(client)
	for c := range doomed {
		_ = c.Close() // it may be closed already, which is what is wanted
	}
	b.changed()
	return len(doomed)
}

// LetIn ends [Broker.CutOff]. It reports whether the client was cut off.
func (b *Broker) LetIn(client string) bool {
	f := &b.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	_, was := f.cut[client]
	set(&f.cut, client, struct{}{}, false)
	f.count()
	return was
}

// isCut says whether all of these names, of which there is at least one, are cut off.
func (f *faults) isCut(names ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		if _, ok := f.cut[name]; !ok {
			return false
		}
	}
	return len(names) > 0
}

// cutOff closes the connection of ctx if the callers are cut off, and returns how the call ends then.
func (b *Broker) cutOff(ctx context.Context, callers []string) error {
	if !b.faults.isCut(callers...) {
		return nil
	}
	if c := connOf(ctx); c != nil {
		_ = c.Close() // it may be closed already, which is what is wanted
	}
	return errConnectionLost
}

// cutAddress says whether nothing that connects from there is let in.
func (b *Broker) cutAddress(a net.Addr) bool {
	if b.faults.halted.Load() {
		return true
	}
	return b.faults.active.Load() > 0 && (b.faults.isCut(a.String()) || b.faults.isCut(hostOf(a)))
}

// hostOf is an address without its port.
func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// connectionsOf finds the connections of a client.
func (b *Broker) connectionsOf(client string) map[*conn]struct{} {
	found := make(map[*conn]struct{})
	for _, c := range b.conns.all() {
		if a := c.Conn.RemoteAddr(); a.String() == client || hostOf(a) == client {
			found[c] = struct{}{}
		}
	}
	for _, t := range b.allTopics() {
		t.mu.Lock()
		for _, c := range t.connectionsOf(client) {
			found[c] = struct{}{}
		}
		t.mu.Unlock()
	}
	return found
}

// connectionsOf finds the connections of the topic's producers and consumers of that name.
func (t *topic) connectionsOf(name string) (found []*conn) {
	if p := t.producers[name]; p != nil {
		if c := p.conn.Load(); c != nil {
			found = append(found, c)
		}
	}
	for _, s := range t.subs {
		c := s.consumer(name)
		if c == nil {
			continue
		}
		at := c.conn
		if c.stream != nil {
			at = connOf(c.stream.ctx)
		}
		if at != nil {
			found = append(found, at)
		}
	}
	return found
}

// ForgetProducer makes the id of a producer unknown, as a restart does, so that its client has to create it anew. It reports whether
// there is such a producer.
func (b *Broker) ForgetProducer(topic, name string) bool {
	t := b.topic(topic)
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.producers[name]
	if p == nil {
		return false
	}
	delete(t.producers, name)
	b.ids.removeProducer(p.id)
	b.changed()
	return true
}

// ForgetConsumer makes the id of a consumer unknown, as a restart does: its stream ends as with a lost connection, and its client has
// to subscribe anew. The position of the subscription stays. It reports whether there is such a consumer.
func (b *Broker) ForgetConsumer(topic, sub, name string) bool {
	return b.withConsumer(topic, sub, name, func(s *subscription, at int) {
		c := s.consumers[at]
		s.consumers = append(s.consumers[:at:at], s.consumers[at+1:]...)
		s.drop(c, errConnectionLost)
	})
}

// CloseHealth makes HealthCheck answer CLOSE for a consumer until its client subscribes again. Its stream stays open and is served. It
// reports whether there is such a consumer.
func (b *Broker) CloseHealth(topic, sub, name string) bool {
	return b.withConsumer(topic, sub, name, func(s *subscription, at int) {
		s.consumers[at].unhealthy = true
	})
}

// withConsumer calls f with the topic locked and the place of the consumer in its subscription, if there is one.
func (b *Broker) withConsumer(topic, sub, name string, f func(s *subscription, at int)) (found bool) {
	b.with(topic, sub, func(s *subscription) {
		for i, c := range s.consumers {
			if c.name == name {
				found = true
				f(s, i)
				return
			}
		}
	})
	b.changed()
	return found
}
