package danube_test

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A ledger keeps what happened.
type ledger struct {
	mu         sync.Mutex
	start      time.Time
	trace      []string
	sent       map[string]*outcome
	lives      []map[string][]danubetest.Message // of the broker: what it accepted, by topic
	acked      map[string]map[string]int         // in the last life, by topic and subscription
	deliveries map[*subPlan][]delivered
}

// An outcome is what a sender was told.
type outcome struct {
	times int
	err   error
}

type delivered struct {
	place
	reader string
	life   int // of the broker, when the reader got it
}

func (l *ledger) begun(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == nil {
		l.sent = make(map[string]*outcome)
	}
	l.sent[text] = &outcome{}
}

func (l *ledger) told(text string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.sent[text]
	o.times++
	o.err = err
}

// open counts the messages without outcome.
func (l *ledger) open() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.sent {
		if o.times == 0 {
			n++
		}
	}
	return n
}

func (l *ledger) delivered(r *reader, at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deliveries == nil {
		l.deliveries = make(map[*subPlan][]delivered)
	}
	l.deliveries[r.plan] = append(l.deliveries[r.plan], delivered{place: at, reader: r.name, life: len(l.lives)})
}

func (w *world) note(format string, args ...any) {
	l := &w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trace = append(l.trace, fmt.Sprintf("%12v ", time.Since(l.start))+fmt.Sprintf(format, args...))
}

// tell logs what happened.
func (w *world) tell() {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	w.Log(strings.Join(w.ledger.trace, "\n"))
}

// keepBooks notes what the broker accepted in the life that ends.
func (w *world) keepBooks() {
	accepted := make(map[string][]danubetest.Message)
	for _, at := range w.topics() {
		accepted[at] = w.broker.Messages(at)
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	w.ledger.lives = append(w.ledger.lives, accepted)
}

// closeBooks notes the last life.
func (w *world) closeBooks() {
	w.keepBooks()
	w.ledger.acked = make(map[string]map[string]int)
	for _, at := range w.topics() {
		w.ledger.acked[at] = make(map[string]int)
		for _, sub := range w.subs {
			s, _ := w.broker.Subscription(at, sub.settings.Subscription)
			w.ledger.acked[at][sub.settings.Subscription] = s.Acked
		}
	}
}

// checkBounds checks what holds at any time.
func (w *world) checkBounds() {
	for _, r := range w.readers {
		limit := r.plan.settings.MaxBytes
		if held := r.Held(); limit > 0 && held > max(int(limit)/512, 0)+max(w.partitions, 1) {
			w.fail("%s holds %d messages, of which %d bytes take no more than %d", r.name, held, limit, limit/512)
		}
	}
}

// checkAll checks the whole run.
func (w *world) checkAll() {
	w.checkOutcomes()
	for _, accepted := range w.ledger.lives {
		for _, at := range w.topics() {
			order := w.order("accepted on " + at)
			for _, m := range accepted[at] {
				order.next(textOf(m.Payload), at)
			}
		}
	}
	for _, sub := range w.subs {
		w.checkDeliveries(sub)
	}
}

// checkOutcomes checks that every sender was told once, and told the truth.
func (w *world) checkOutcomes() {
	accepted := make(map[string]bool)
	for _, life := range w.ledger.lives {
		for _, messages := range life {
			for _, m := range messages {
				accepted[textOf(m.Payload)] = true
			}
		}
	}
	for text, o := range w.ledger.sent {
		if o.times != 1 {
			w.fail("the outcome of %s was told %d times", text, o.times)
		}
		if o.err == nil && !accepted[text] {
			w.fail("%s was sent, but the broker never had it", text)
		}
	}
}

// checkDeliveries checks that a subscription got all that the broker had in its last life, and in order.
func (w *world) checkDeliveries(sub *subPlan) {
	name := sub.settings.Subscription
	last := len(w.ledger.lives) - 1
	got := make(map[place]bool)
	order, offsets := w.order("delivered to "+name), make(map[string]uint64)
	order.keys = sub.settings.Type == danube.KeyShared
	for _, d := range w.ledger.deliveries[sub] {
		at := topicOf(d.partition)
		if d.life == last {
			got[place{partition: d.partition, offset: d.offset, text: d.text}] = true
		}
		if w.inOrder(sub) || order.keys {
			order.next(d.text, at)
		}
		session := fmt.Sprint(at, " life ", d.place.life)
		if at, ok := offsets[session]; w.inOrder(sub) && !order.repeats(session, d.offset) {
			if ok && d.offset < at {
				w.fail("%s gets offset %d of %s after %d", d.reader, d.offset, session, at)
			}
			offsets[session] = d.offset
		}
	}
	for _, at := range w.topics() {
		all := w.ledger.lives[last][at]
		begin := len(all) - w.ledger.acked[at][name]
		if begin < 0 || begin > 0 && last == 0 {
			w.fail("%s acknowledged %d of %d messages of %s", name, w.ledger.acked[at][name], len(all), at)
			continue
		}
		for _, m := range all[begin:] {
			if !got[place{partition: w.partitionOf(at), offset: m.Offset, text: textOf(m.Payload)}] {
				w.fail("%s never got %s, offset %d of %s", name, textOf(m.Payload), m.Offset, at)
			}
		}
	}
}

func topicOf(partition int) string {
	if partition < 0 {
		return topic
	}
	return fmt.Sprintf("%s-part-%d", topic, partition)
}

func (p *program) partitionOf(at string) int {
	for i, name := range p.topics() {
		if name == at && p.partitions > 0 {
			return i
		}
	}
	return -1
}
