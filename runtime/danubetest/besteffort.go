package danubetest

import "time"

// maxOutbox is how many messages of a non-reliable topic wait for one consumer; what comes beyond is dropped. The real broker has
// four places, which loses messages in any burst.
const maxOutbox = 1 << 16

// bestEffort is the dispatcher of non-reliable topics: a message goes to a consumer that is there now, or to nobody.
type bestEffort struct {
	sub     *subscription
	next    uint64 // first offset that was not looked at
	dropped uint64
}

func newBestEffort(sub *subscription, from position) *bestEffort {
	return &bestEffort{sub: sub, next: from.next}
}

func (b *bestEffort) published() {
	t := b.sub.topic
	for ; b.next < t.head; b.next++ {
		m := t.log.read(b.next)
		// An outbox holds its message beyond the log, so it is charged for it.
		c := b.sub.pick.pick(m.msg)
		if c == nil || c.outbox.len() >= maxOutbox || !t.broker.budget.reserve(m.size) {
			b.dropped++
			continue
		}
		m.offset = m.msg.GetMsgId().GetTopicOffset()
		c.push(&delivery{stored: m, to: c})
	}
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
	for _, c := range b.sub.consumers {
		b.lost(c)
	}
}
