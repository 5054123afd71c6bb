package connecttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

const sourceTopic = "/default/events"

// A sourceBench is an origin, a broker and the means to run a source between them.
type sourceBench struct {
	testing.TB
	broker    *danubetest.Broker
	origin    SourceOrigin
	patience  time.Duration
	positions *positions
	shutdown  time.Duration // what a stop may take; next to nothing where it stands for a crash
	produced  int
}

func newSourceBench(tb testing.TB, origin SourceOrigin) *sourceBench {
	tb.Helper()
	return &sourceBench{TB: tb, broker: danubetest.Start(tb), origin: origin, patience: patience, positions: newPositions(), shutdown: patience}
}

// positions is a position store whose disk can fail.
type positions struct {
	mu     sync.Mutex
	stored []byte
	broken bool
	saved  chan struct{} // closed by the first Save that worked
	once   sync.Once
}

func newPositions() *positions { return &positions{saved: make(chan struct{})} }

func (p *positions) Load() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stored, nil
}

func (p *positions) Save(position []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return errors.New("suite: the disk is gone")
	}
	p.stored = append([]byte(nil), position...)
	p.once.Do(func() { close(p.saved) })
	return nil
}

func (p *positions) breakDisk(broken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = broken
}

// produce makes the origin hold n more rows.
func (b *sourceBench) produce(n int) {
	b.Helper()
	values := make([][]byte, n)
	for i := range values {
		values[i] = row{Seq: b.produced, Key: fmt.Sprintf("k%d", b.produced%3), Text: "déjà vu №" + strconv.Itoa(b.produced)}.value()
		b.produced++
	}
	b.origin.Produce(b.TB, values...)
}

// A sourceRun is a source at work.
type sourceRun struct {
	bench  *sourceBench
	cancel context.CancelFunc
	done   chan error
}

// start runs the source, changed by wrap.
func (b *sourceBench) start(wrap func(connect.Source) connect.Source) *sourceRun {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	r := &sourceRun{bench: b, cancel: cancel, done: make(chan error, 1)}
	settings := connect.SourceSettings{
		Settings: connect.Settings{
			ServiceURL: b.broker.URL(), Name: "suite", RetryBase: 2 * time.Millisecond, RetryMax: 20 * time.Millisecond,
			ShutdownTimeout: b.shutdown, Log: zaptest.NewLogger(b, zaptest.Level(zap.DPanicLevel)),
		},
		Topic: sourceTopic, Reliable: true, Positions: b.positions, ReadRetry: 2 * time.Millisecond,
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.done <- connect.StreamSource(ctx, settings, func(ctx context.Context, from connect.Position) (connect.Source, error) {
			source, err := b.origin.Open(ctx, from)
			if err == nil && wrap != nil {
				source = wrap(source)
			}
			return source, err
		})
	}()
	b.Cleanup(func() { cancel(); <-stopped })
	return r
}

// stop ends the run as SIGTERM does and waits for it.
func (r *sourceRun) stop() {
	r.bench.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			r.bench.Fatalf("the source stopped with an error: %v", err)
		}
	case <-time.After(r.bench.patience):
		r.bench.Fatalf("the source did not stop: Read must return once its context is done")
	}
}

// published waits until every row that the origin was given stands on the topic, and gives all messages.
func (b *sourceBench) published() []danubetest.Message {
	b.Helper()
	return b.publishedUntil(b.produced)
}

// publishedUntil waits until rows 0 to n-1 stand on the topic.
func (b *sourceBench) publishedUntil(n int) []danubetest.Message {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), b.patience)
	defer cancel()
	missing := func() []int {
		seen := make(map[int]bool)
		for _, m := range b.broker.Messages(sourceTopic) {
			seen[b.seq(m)] = true
		}
		var out []int
		for seq := range n {
			if !seen[seq] {
				out = append(out, seq)
			}
		}
		return out
	}
	if err := b.broker.WaitFor(ctx, func() bool { return len(missing()) == 0 }); err != nil {
		gone := missing()
		b.Fatalf("%d of %d records never came, the first of them number %d", len(gone), n, gone[0])
	}
	return b.broker.Messages(sourceTopic)
}

func (b *sourceBench) seq(m danubetest.Message) int {
	var r row
	if err := json.Unmarshal(m.Payload, &r); err != nil {
		b.Errorf("a message is not the JSON that the origin held: %v\n%.200s", err, m.Payload)
		return -1
	}
	if want := "déjà vu №" + strconv.Itoa(r.Seq); r.Text != want {
		b.Errorf("record %d was published with other content than the origin held: %q", r.Seq, r.Text)
	}
	return r.Seq
}

// expectOrderAndIDs checks that records came in order, that repeats carry the event id of the first time and that no two records
// share one. It returns how many repeats there were.
func (b *sourceBench) expectOrderAndIDs(messages []danubetest.Message) (repeats int) {
	b.Helper()
	ids := make(map[int]string)
	seqs := make(map[string]int)
	last := -1
	for _, m := range messages {
		seq, id := b.seq(m), m.Attributes[connect.EventIDAttribute]
		if id == "" {
			b.Errorf("record %d has no attribute %s: Read must set it from the record's place in the external system", seq, connect.EventIDAttribute)
		}
		if first, again := ids[seq]; again {
			repeats++
			if id != first {
				b.Errorf("record %d came again as %q, first as %q: the id must depend on nothing but the record's place", seq, id, first)
			}
			continue
		}
		ids[seq] = id
		if other, taken := seqs[id]; taken && id != "" {
			b.Errorf("records %d and %d share the event id %q: one of them would be taken for a repeat", other, seq, id)
		}
		seqs[id] = seq
		if seq < last {
			b.Errorf("record %d was published after record %d", seq, last)
		}
		last = seq
	}
	return repeats
}
