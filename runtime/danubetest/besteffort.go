package danubetest

import (
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// maxOutbox is how many messages of a non-reliable topic wait for one consumer; what comes beyond is dropped. The real broker has
// four places, which loses messages in any burst.
const maxOutbox = 1 << 16

// bestEffort is the dispatcher of non-reliable topics: a message goes to a consumer that is there now, or to nobody.
type bestEffort struct {
	sub     *subscription
	next    uint64 // first offset that was not looked at
	dropped uint64

	// Under the trap best-effort:
	idle    time.Time   // since when publishes find no consumer; zero when the last one did
	reaper  *time.Timer // looks whether the subscription was idle for too long
	stopped bool
}

func newBestEffort(sub *subscription, from position) *bestEffort {
	b := &bestEffort{sub: sub, next: from.next}
	if sub.topic.broker.settings.traps.has(trapBestEffort) && sub.kind != keyShared {
		b.reaper = time.AfterFunc(reapEvery, b.reap)
	}
	return b
}

func (b *bestEffort) published() {
	t := b.sub.topic
	for ; b.next < t.head; b.next++ {
		m := t.log.read(b.next)
		// An outbox holds its message beyond the log, so it is charged for it.
		c := b.place(m.msg)
		if c == nil || c.outbox.len() >= maxOutbox || !t.broker.budget.reserve(m.size) {
			b.dropped++
			continue
		}
		m.offset = m.msg.GetMsgId().GetTopicOffset()
		c.push(&delivery{stored: m, to: c})
	}
}

// place finds the consumer for a message, nil when it is to be dropped.
func (b *bestEffort) place(m *danubepb.StreamMessage) *consumer {
	if !b.sub.topic.broker.settings.traps.has(trapBestEffort) {
		return b.sub.pick.pick(m)
	}
	tries := 1
	if b.sub.kind == shared {
		tries = len(b.sub.consumers)
	}
	for range tries {
		c := b.sub.pick.pick(m)
		if c == nil {
			if b.idle.IsZero() {
				b.idle = time.Now()
			}
			return nil
		}
		b.idle = time.Time{}
		if c.outbox.len() < c.places() {
			return c
		}
	}
	return nil
}

// How long a subscription of the real broker may be idle, and how often it looks.
const (
	reapAfter = time.Minute
	reapEvery = 30 * time.Second
)

// reap deletes the subscription when the last publish found no consumer and there has been none for a minute.
func (b *bestEffort) reap() {
	t := b.sub.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if b.stopped {
		return
	}
	if anyOf(b.sub, (*consumer).connected) {
		b.idle = time.Time{}
	}
	if b.idle.IsZero() || time.Since(b.idle) <= reapAfter {
		b.reaper.Reset(reapEvery)
		return
	}
	t.broker.log.Info("idle subscription deleted", "topic", t.name, "subscription", b.sub.name)
	b.sub.close(nil)
	delete(t.subs, b.sub.name)
	t.trim()
	t.broker.changed()
}

func (b *bestEffort) taken(d *delivery, _ time.Time) { b.sub.topic.broker.budget.release(d.size) }

func (b *bestEffort) opened(*consumer) { b.sub.pick.joined() }

// lost forgets what the consumer had not read.
func (b *bestEffort) lost(c *consumer) {
	for c.outbox.len() > 0 {
		b.sub.topic.broker.budget.release(c.outbox.pop().size)
		b.dropped++
	}
}

func (b *bestEffort) ack(uint64) { b.sub.acked++ }

func (b *bestEffort) nack(uint64, time.Duration, string) {}

func (b *bestEffort) configure(int, FailurePolicy) {}

func (b *bestEffort) floor() uint64 { return b.next }

func (b *bestEffort) position() position { return position{next: b.next} }

func (b *bestEffort) backlog() int { return 0 }

func (b *bestEffort) unacked() int { return 0 }

func (b *bestEffort) blocked() bool { return false }

func (b *bestEffort) stop() {
	b.stopped = true
	if b.reaper != nil {
		b.reaper.Stop()
	}
	for _, c := range b.sub.consumers {
		b.lost(c)
	}
}
