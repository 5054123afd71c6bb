package connecttest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// A wrapper is a sink whose Write a case replaces.
type wrapper struct {
	connect.Sink
	write func(ctx context.Context, batch []connect.Record, inner connect.Sink) error
}

func (w *wrapper) Write(ctx context.Context, batch []connect.Record) error {
	return w.write(ctx, batch, w.Sink)
}

func wrapping(write func(ctx context.Context, batch []connect.Record, inner connect.Sink) error) func(connect.Sink) connect.Sink {
	return func(s connect.Sink) connect.Sink { return &wrapper{Sink: s, write: write} }
}

func (b *sinkBench) delivery() {
	r := b.start(nil)
	b.publish(300)
	b.settled()
	r.stop()
	b.expectAll()
}

func (b *sinkBench) redelivery() {
	// Each write first loses the stream it came by, so its acknowledgements count for nothing and all of it comes again.
	var drops atomic.Int32
	gate := newGate() // all is published before the broker is shaken, or the publisher too would have to send records again
	r := b.start(wrapping(func(ctx context.Context, batch []connect.Record, inner connect.Sink) error {
		gate.pass(ctx)
		err := inner.Write(ctx, batch)
		if drops.Add(1) <= 3 {
			b.broker.Restart(true)
		}
		return err
	}))
	b.broker.Duplicate(sinkTopic, 20)
	b.publish(100)
	gate.open()
	b.settled()
	r.stop()
	b.expectAll()
}

func (b *sinkBench) poisonRecord() {
	gate := newGate()
	r := b.start(wrapping(func(ctx context.Context, batch []connect.Record, inner connect.Sink) error {
		gate.pass(ctx) // so that the batches after the first are full
		return inner.Write(ctx, batch)
	}))
	poison := []int{0, 4, 5, 17}
	for seq := range 30 {
		if contains(poison, seq) {
			b.send("k0", b.target.Poison)
			b.sent++
		} else {
			b.publish(1)
		}
	}
	gate.open()
	b.settled()
	r.stop()
	b.expectAll(poison...)

	letters := b.broker.Messages(sinkDeadLetters)
	if len(letters) != len(poison) {
		b.Fatalf("%d dead letters for %d records that cannot be written: Write must mark exactly those with connect.Reject", len(letters), len(poison))
	}
	for _, l := range letters {
		if !bytes.Equal(l.Payload, b.target.Poison) {
			b.Errorf("a dead letter holds %.80q, not the rejected record's bytes", l.Payload)
		}
		if l.Attributes["x-failure-reason"] == "" || l.Attributes["x-original-topic"] != sinkTopic || l.Attributes[connect.EventIDAttribute] == "" {
			b.Errorf("a dead letter does not say why and whence it came: %v", l.Attributes)
		}
	}
}

func contains(list []int, n int) bool {
	for _, v := range list {
		if v == n {
			return true
		}
	}
	return false
}

func (b *sinkBench) transientFailure() {
	var calls atomic.Int32
	r := b.start(wrapping(func(ctx context.Context, batch []connect.Record, inner connect.Sink) error {
		switch calls.Add(1) % 4 {
		case 1:
			return errors.New("suite: the target is not there")
		case 2: // half of the batch gets through
			half := (len(batch) + 1) / 2
			err := inner.Write(ctx, batch[:half])
			if err != nil || half == len(batch) {
				return err
			}
			var partial connect.BatchError
			for i := half; i < len(batch); i++ {
				partial.Add(i, errors.New("suite: the target went away"))
			}
			return partial.Err()
		}
		return inner.Write(ctx, batch)
	}))
	b.publish(100)
	b.settled()
	r.stop()
	b.expectAll()
}

// crashBeforeAck lets the process die between a write and its acknowledgement, five times in a row.
func (b *sinkBench) crashBeforeAck() {
	b.crash(func(batch []connect.Record) []connect.Record { return batch })
}

func (b *sinkBench) crashInMidBatch() {
	b.crash(func(batch []connect.Record) []connect.Record { return batch[:len(batch)/2] })
}

// crash runs the sink until, after two writes, one has several records; that writes only what written picks, and nothing that the
// process does after it counts.
func (b *sinkBench) crash(written func([]connect.Record) []connect.Record) {
	for range 5 {
		var writes atomic.Int32
		var once sync.Once
		crashed, gate := make(chan struct{}), newGate() // what was published waits at the gate, so batches are as large as they can be
		r := b.start(wrapping(func(ctx context.Context, batch []connect.Record, inner connect.Sink) error {
			gate.pass(ctx)
			if writes.Add(1) < 3 || len(batch) < 2 {
				return inner.Write(ctx, batch)
			}
			err := inner.Write(ctx, written(batch))
			once.Do(func() { close(crashed) })
			return errors.Join(err, errors.New("suite: the process dies here"))
		}))
		b.publish(40)
		gate.open()
		select {
		case <-crashed:
		case <-time.After(b.patience):
			b.Fatalf("no third write came")
		}
		r.stop() // the failed batch is not acknowledged, as if the process had died
	}
	r := b.start(nil)
	b.settled()
	r.stop()
	b.expectAll()
}

func (b *sinkBench) shutdownInMidBatch() {
	gate := newGate()
	r := b.start(wrapping(func(ctx context.Context, batch []connect.Record, inner connect.Sink) error {
		gate.pass(ctx)
		return inner.Write(ctx, batch)
	}))
	b.publish(50)
	gate.reached(b)
	r.cancel() // the stop comes while Write is under way …
	gate.open()
	r.wait() // … which may finish, and is acknowledged
	before := len(b.stored())
	if before == 0 {
		b.Errorf("the write under way when the stop came did not finish: nothing is stored")
	}
	if s, _ := b.broker.Subscription(sinkTopic, sinkSubscription); s.Acked != before {
		b.Errorf("%d records were written before the stop and %d acknowledged: the others are repeated needlessly", before, s.Acked)
	}
	r = b.start(nil)
	b.settled()
	r.stop()
	b.expectAll()
}

func (b *sinkBench) brokerRestart() {
	r := b.start(nil)
	for range 5 {
		b.publish(30)
		b.broker.Restart(true)
	}
	b.publish(30)
	b.settled()
	r.stop()
	b.expectAll()
}

func (b *sinkBench) oddValues() {
	r := b.start(nil)
	texts := []string{"", " ", "\u0001 \\ \" \n", "日本語 🦊 \u202e", strings.Repeat("x", 1<<20)}
	for seq, text := range texts {
		b.send("", row{Seq: seq, Text: text}.value())
		b.sent++
	}
	b.settled()
	r.stop()
	got := make(map[int]string)
	for _, r := range b.stored() {
		got[r.Seq] = r.Text
	}
	for seq, text := range texts {
		if got[seq] != text {
			b.Errorf("text %.40q came back as %.40q", text, got[seq])
		}
	}
}

// A gate holds writes up until it is opened.
type gate struct {
	waiting chan struct{} // closed when the first write stands before it
	opened  chan struct{}
	first   sync.Once
}

func newGate() *gate {
	return &gate{waiting: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) pass(ctx context.Context) {
	g.first.Do(func() { close(g.waiting) })
	select {
	case <-g.opened:
	case <-ctx.Done():
	}
}

func (g *gate) open() { close(g.opened) }

// reached waits until a write stands before the gate.
func (g *gate) reached(b *sinkBench) {
	ctx, cancel := context.WithTimeout(b.Context(), b.patience)
	defer cancel()
	select {
	case <-g.waiting:
	case <-ctx.Done():
		b.Fatalf("no write came")
	}
}
