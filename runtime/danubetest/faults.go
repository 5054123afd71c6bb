package danubetest

import (
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// faults are the calls that tests want refused. It is a leaf in the lock order.
type faults struct {
	pending atomic.Int64 // refusals left over all methods, so that a call without faults costs one load
	mu      sync.Mutex
	refuse  map[string]refusal // by method name without service
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
	if f.refuse == nil {
		f.refuse = make(map[string]refusal)
	}
	f.pending.Add(int64(max(n, 0) - f.refuse[method].left))
	f.refuse[method] = refusal{code: code, left: max(n, 0)}
}

// refusal returns the error that a call of a method, given by its full name, is to end with.
func (f *faults) refusal(fullMethod string) error {
	if f.pending.Load() == 0 {
		return nil
	}
	method := fullMethod[strings.LastIndex(fullMethod, "/")+1:]
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.refuse[method]
	if r.left == 0 {
		return nil
	}
	r.left--
	f.refuse[method] = r
	f.pending.Add(-1)
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
		b.mu.Unlock()
		for _, t := range topics {
			t.close(errConnectionLost)
		}
	}
	b.conns.closeAll()
	b.changed()
}
