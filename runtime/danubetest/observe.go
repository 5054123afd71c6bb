package danubetest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A Message is what a producer sent to a topic, copied out of the broker.
type Message struct {
	Topic         string
	Offset        uint64 // place in the topic, from 0; also on non-reliable topics, whose consumers do not see it
	Key           string // routing key; empty when there was none
	Payload       []byte
	Attributes    map[string]string
	Producer      string
	PublishTime   time.Time // by the producer's clock, to the millisecond
	SchemaID      uint64    // 0 when there was none
	SchemaVersion uint32    // 0 when there was none
}

// SubscriptionStats is what the broker knows of one subscription.
type SubscriptionStats struct {
	Type        danubepb.ConsumerRequest_SubscriptionType
	Connected   []string // names of the connected consumers, in order of arrival
	Delivered   int      // messages handed to streams, redeliveries included
	Redelivered int      // of these, how many were not the first delivery
	Acked       int
	Unacked     int  // in flight: delivered and not acknowledged, or about to be delivered (again)
	Backlog     int  // in flight or never delivered
	Blocked     bool // stopped by the poison policy Block
}

// Topics lists the topics in byte order.
func (b *Broker) Topics() []string {
	var names []string
	for _, t := range b.allTopics() {
		names = append(names, t.name)
	}
	return names
}

// Messages returns what was sent to the topic, oldest first, as far as it is kept: everything that a subscription has not passed,
// and the History before. It is nil when the topic does not exist.
func (b *Broker) Messages(topic string) []Message {
	t := b.topic(topic)
	if t == nil {
		return nil
	}
	t.mu.Lock()
	var kept []stored
	for offset := t.log.first(); offset < t.head; offset++ {
		if m := t.log.read(offset); m.msg != nil { // else the log has told
			kept = append(kept, m)
		}
	}
	t.mu.Unlock()
	messages := make([]Message, len(kept))
	for i, s := range kept {
		messages[i] = Message{
			Topic:         topic,
			Offset:        s.offset,
			Key:           s.msg.GetRoutingKey(),
			Payload:       slices.Clone(s.msg.GetPayload()),
			Attributes:    maps.Clone(s.msg.GetAttributes()),
			Producer:      s.msg.GetProducerName(),
			PublishTime:   time.UnixMilli(int64(s.msg.GetPublishTime())),
			SchemaID:      s.msg.GetSchemaId(),
			SchemaVersion: s.msg.GetSchemaVersion(),
		}
	}
	return messages
}

// Published is how many messages the topic was ever sent, 0 when it does not exist.
func (b *Broker) Published(topic string) int {
	t := b.topic(topic)
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.head)
}

// Subscription describes a subscription; ok is false when it does not exist.
func (b *Broker) Subscription(topic, name string) (stats SubscriptionStats, ok bool) {
	b.with(topic, name, func(s *subscription) {
		ok = true
		stats = SubscriptionStats{
			Type:        s.kind,
			Delivered:   int(s.delivered),
			Redelivered: int(s.redelivered),
			Acked:       int(s.acked),
			Unacked:     s.dispatcher.unacked(),
			Backlog:     s.dispatcher.backlog(),
			Blocked:     s.dispatcher.blocked(),
		}
		for _, c := range s.consumers {
			if c.connected() {
				stats.Connected = append(stats.Connected, c.name)
			}
		}
	})
	return stats, ok
}

// Unacked is how many messages the subscription has in flight, 0 when it does not exist.
func (b *Broker) Unacked(topic, name string) int {
	stats, _ := b.Subscription(topic, name)
	return stats.Unacked
}

// Delivered is how many messages were handed to the subscription's streams, redeliveries included; 0 when it does not exist.
func (b *Broker) Delivered(topic, name string) int {
	stats, _ := b.Subscription(topic, name)
	return stats.Delivered
}

// with calls f with the topic of a subscription locked, if both exist.
func (b *Broker) with(topic, name string, f func(*subscription)) {
	t := b.topic(topic)
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.subs[name]; s != nil {
		f(s)
	}
}

// WaitFor returns nil as soon as met does, which is asked now and after each change in the broker, without polling; or the cause
// of ctx when that is done first. met may call every method of the broker that only looks.
func (b *Broker) WaitFor(ctx context.Context, met func() bool) error {
	b.watch.waiting.Add(1)
	defer b.watch.waiting.Add(-1)
	for {
		next := b.watch.next()
		if met() {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// notifier wakes all who wait for a change. Without anybody waiting a change costs one load.
type notifier struct {
	waiting atomic.Int64
	mu      sync.Mutex
	ch      chan struct{}
}

// next returns a channel that is closed at the next change.
func (n *notifier) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

// notify is called after the change was made.
func (n *notifier) notify() {
	if n.waiting.Load() == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
