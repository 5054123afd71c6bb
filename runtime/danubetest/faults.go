package danubetest

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// faults are what tests want to go wrong with calls and connections. It is a leaf in the lock order.
type faults struct {
	active atomic.Int64 // entries of all maps together, so that a call without faults costs one load
	halted atomic.Bool  // StopAfter's point was reached
	mu     sync.Mutex
	refuse map[string]refusal  // by method name without service
	delay  map[string]delay    // likewise
	cut    map[string]struct{} // names and addresses of clients that are cut off
	stop   int64               // publishes until the broker stops; 0 is never
}

type refusal struct {
	code codes.Code
	left int
}

// Refuse makes the next n calls of method, for example "SendMessage" or "CreateTopic", fail with code. A refused call has no
// effect. A second Refuse for a method replaces the first; n = 0 ends it.
func (b *Broker) Refuse(method string, code codes.Code, n int) {
	f := &b.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	set(&f.refuse, method, refusal{code: code, left: n}, n > 0)
	f.count()
}

// set stores v under key, or with ok false forgets what is there.
func set[V any](m *map[string]V, key string, v V, ok bool) {
	if !ok {
		delete(*m, key)
		return
	}
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[key] = v
}

// count brings active up to date; the caller holds mu.
func (f *faults) count() {
	f.active.Store(int64(len(f.refuse)+len(f.delay)+len(f.cut)) + min(f.stop, 1))
}

// refusal returns the error that a call of a method, given without its service, is to end with.
func (f *faults) refusal(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.refuse[method]
	if !ok {
		return nil
	}
	r.left--
	set(&f.refuse, method, r, r.left > 0)
	f.count()
	return status.Errorf(r.code, "%s refused by a test", method)
}

// DropStreams ends every receive stream as a lost connection would, with UNAVAILABLE. What was in flight is delivered again when
// the consumers are back.
func (b *Broker) DropStreams() {
	for _, t := range b.allTopics() {
		t.mu.Lock()
		for _, s := range t.subs {
			for _, c := range s.consumers {
				if c.stream != nil {
					c.lose(errConnectionLost)
				}
			}
		}
		t.mu.Unlock()
	}
}

// Duplicate makes the next n messages that the topic delivers, to whatever subscription, arrive twice in a row. It reports whether
// the topic exists.
func (b *Broker) Duplicate(topic string, n int) bool {
	t := b.topic(topic)
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.duplicates = n
	return true
}

// Redeliver makes everything that a subscription of a reliable topic has in flight come again at once, as after a lost stream, but
// with the streams left open. It reports whether there is such a subscription.
func (b *Broker) Redeliver(topic, name string) bool {
	found := false
	b.with(topic, name, func(s *subscription) {
		if found = s.topic.reliable; !found {
			return
		}
		for _, c := range s.consumers {
			s.dispatcher.lost(c)
		}
	})
	b.changed()
	return found
}

// Restart does what the end and a new start of the process does to clients: every connection is closed, producer and consumer ids
// are unknown from then on, Exclusive seats and subscription types are forgotten. The listeners stay.
//
// With keep, topics, messages, policies and the positions of reliable subscriptions are kept and offsets go on; everything
// unacknowledged comes again, counted from the first delivery. Without keep the broker is empty.
//
// It ends the stop of [Broker.StopAfter]. Traps change what is kept; under metadata-limit the broker may not come back: then every call
// is answered with UNAVAILABLE.
func (b *Broker) Restart(keep bool) {
	b.log.Info("restart", "keep", keep)
	if keep {
		for _, t := range b.allTopics() {
			t.restart()
		}
	} else {
		b.mu.Lock()
		topics := b.topics
		b.forget()
		b.budget.release(b.schemas.clear())
		b.metadata.forget()
		b.mu.Unlock()
		for _, t := range topics {
			t.close(errConnectionLost)
			b.disk.discard(t)
		}
		b.disk.discard() // of the rest, if there was no topic
	}
	if keep && !b.metadata.restart(b.settings.traps.has(trapMetadataLimit)) {
		b.log.Error("the broker does not start", "error", metadataLimitError)
	}
	b.conns.closeAll()
	b.faults.halted.Store(false)
	b.changed()
}
