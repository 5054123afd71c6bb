package danube_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// send is one goroutine that sends.
func (w *world) send(p *danube.Producer, s senderPlan) {
	r := w.source(s.name)
	for n := range s.messages {
		if !w.calm.Load() {
			time.Sleep(time.Duration(r.Int64N(int64(s.pause))))
		}
		m, text := s.message(r, n)
		ctx, cancel := context.WithTimeout(w.ctx, oneOf(r, s.deadline...))
		w.ledger.begun(text)
		if r.IntN(10) < s.async {
			partition := p.Partition(m.Key)
			if err := p.SendAsync(ctx, partition, m, func(err error) { w.ledger.told(text, err) }); err != nil {
				w.ledger.told(text, err)
			}
		} else {
			w.ledger.told(text, p.Send(ctx, m))
		}
		cancel()
	}
}

// sendSurely sends when nothing may go wrong.
func (w *world) sendSurely(p *danube.Producer, s senderPlan, partition, n int) {
	s.keys, s.name = 0, fmt.Sprint(s.name, partition)
	m, text := s.message(w.random, n)
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
	defer cancel()
	w.ledger.begun(text)
	err := p.SendTo(ctx, partition, m)
	w.ledger.told(text, err)
	require.NoError(w, err, "when all is calm")
}

// message makes the n-th message of a sender. Its text is unique and names its order.
func (s senderPlan) message(r *rand.Rand, n int) (danube.Message, string) {
	var key string
	if s.keys > 0 {
		key = fmt.Sprint(s.name, ".k", r.IntN(s.keys))
	}
	text := fmt.Sprintf("%s|%s|%d", s.name, key, n)
	payload := []byte(text + "|")
	if s.size > 0 {
		payload = append(payload, bytes.Repeat([]byte{'x'}, r.IntN(s.size))...)
	}
	return danube.Message{Key: key, Payload: payload}, text
}

// A reader is a consumer and the goroutine that takes its messages.
type reader struct {
	*danube.Consumer
	world  *world
	plan   *subPlan
	name   string
	random *rand.Rand
	held   []danube.Delivery
	copies map[place]string // of what was delivered, what the reader has done with it
	given  map[place]bool   // what was ever given back
	bytes  int              // of what is held
}

// A place tells apart what one consumer gets within one life, as far as it sees lives.
type place struct {
	partition, life int
	offset          uint64
	text            string
}

const (
	isHeld  = "held"
	isAcked = "acknowledged"
	isGiven = "given back"
)

func placeOf(d danube.Delivery) place {
	return place{partition: d.Partition, life: d.Life, offset: d.Offset, text: textOf(d.Payload)}
}

func textOf(payload []byte) string { return string(payload[:bytes.LastIndexByte(payload, '|')]) }

func (r *reader) read() {
	r.copies, r.given = make(map[place]string), make(map[place]bool)
	for r.world.ctx.Err() == nil {
		wait := time.Hour
		if len(r.held) > 0 {
			wait = time.Duration(r.random.Int64N(int64(r.plan.pause)))
		}
		ctx, cancel := context.WithTimeout(r.world.ctx, wait)
		d, err := r.Receive(ctx)
		cancel()
		if danube.IsPermanent(err) {
			r.world.fail("%s: %v", r.name, err)
			return
		}
		if err == nil {
			r.got(d)
		}
		for len(r.held) > 0 && (r.world.calm.Load() || r.random.IntN(2) == 0) {
			r.settle(r.random.IntN(len(r.held)))
		}
	}
}

// settle acknowledges one message or gives it back.
func (r *reader) settle(i int) {
	d := r.held[i]
	r.held = append(r.held[:i], r.held[i+1:]...)
	r.bytes -= sizeOf(d)
	if !r.world.calm.Load() && r.random.IntN(10) < r.plan.nacks {
		r.copies[placeOf(d)], r.given[placeOf(d)] = isGiven, true
		r.world.note("%s gives back %v", r.name, placeOf(d))
		r.Nack(d, time.Duration(r.random.IntN(3000))*time.Millisecond, "a test wants it again")
		return
	}
	r.copies[placeOf(d)] = isAcked
	r.world.note("%s acknowledges %v", r.name, placeOf(d))
	r.Ack(d)
}

// got checks a delivery against what the reader had before.
func (r *reader) got(d danube.Delivery) {
	w, at := r.world, placeOf(d)
	w.note("%s gets %v", r.name, at)
	switch before := r.copies[at]; {
	case before == isHeld && r.plan.consumers == 1:
		w.fail("%s gets %v a second time while it holds it", r.name, at)
	case before == isAcked && !r.plan.repeats && !(w.imitate && r.given[at]): // a copy on its way looks like the one that was asked for
		w.fail("%s gets %v again after it acknowledged it", r.name, at)
	}
	r.copies[at] = isHeld
	r.held = append(r.held, d)
	r.bytes += sizeOf(d)
	w.ledger.delivered(r, at)
	if limit := r.plan.settings.MaxBytes; limit > 0 && r.bytes > int(limit)+max(w.partitions, 1)*largest {
		w.fail("%s holds %d bytes in %d messages", r.name, r.bytes, len(r.held))
	}
}

// sizeOf is what a message counts for a consumer's bound, and largest the most that a message of a program counts.
func sizeOf(d danube.Delivery) int { return len(d.Payload) + len(d.Key) + 512 }

const largest = 512 + 1100
