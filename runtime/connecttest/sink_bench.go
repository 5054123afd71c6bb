package connecttest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

const (
	sinkTopic        = "/default/orders"
	sinkDeadLetters  = sinkTopic + "-dlq"
	sinkSubscription = "suite"
	// patience bounds every wait; a contract that holds needs a small part of it.
	patience = 30 * time.Second
)

// A sinkBench is a broker, a target and the means to run a sink between them.
type sinkBench struct {
	testing.TB
	broker   *danubetest.Broker
	target   SinkTarget
	patience time.Duration
	client   *danube.Client
	producer *danube.Producer
	sent     int
	spool    string               // folder of the spool; empty for none
	metrics  *prometheus.Registry // of the sink that was started last
}

func newSinkBench(tb testing.TB, target SinkTarget) *sinkBench {
	tb.Helper()
	b := &sinkBench{TB: tb, broker: danubetest.Start(tb), target: target, patience: patience}
	client, err := danube.New(b.broker.URL())
	b.must(err, "make a client")
	tb.Cleanup(func() { client.Close() })
	b.client = client
	b.producer, err = client.NewProducer(danube.ProducerSettings{Topic: sinkTopic, Name: "suite", Reliable: true})
	b.must(err, "make a producer")
	return b
}

func (b *sinkBench) must(err error, what string) {
	b.Helper()
	if err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

// A row is what the suite's values hold.
type row struct {
	Seq  int    `json:"seq"`
	Key  string `json:"key"`
	Text string `json:"text"`
}

func (r row) value() []byte {
	v, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of int and strings
	}
	return v
}

// publish sends n rows, every other one with an event id of its own, on three keys in turn.
func (b *sinkBench) publish(n int) {
	b.Helper()
	for range n {
		r := row{Seq: b.sent, Key: fmt.Sprintf("k%d", b.sent%3), Text: "déjà vu №" + strconv.Itoa(b.sent)}
		b.send(r.Key, r.value())
		b.sent++
	}
}

func (b *sinkBench) send(key string, value []byte) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), b.patience)
	defer cancel()
	m := danube.Message{Key: key, Payload: value, Attributes: map[string]string{"source": "suite"}}
	if b.sent%2 == 0 {
		m.Attributes[connect.EventIDAttribute] = "suite:" + strconv.Itoa(b.sent)
	}
	b.must(b.producer.Send(ctx, m), "publish")
}

// A run is a sink at work.
type run struct {
	bench  *sinkBench
	cancel context.CancelFunc
	done   chan error
}

// start runs the sink, changed by wrap, and waits until it has subscribed.
func (b *sinkBench) start(wrap func(connect.Sink) connect.Sink) *run {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	r := &run{bench: b, cancel: cancel, done: make(chan error, 1)}
	b.metrics = prometheus.NewRegistry()
	settings := connect.SinkSettings{
		Settings: connect.Settings{
			ServiceURL: b.broker.URL(), Name: "suite",
			RetryBase: 2 * time.Millisecond, RetryMax: 20 * time.Millisecond, ShutdownTimeout: b.patience, Log: b.log(), Metrics: b.metrics,
		},
		Routes:      []connect.SinkRoute{{From: sinkTopic, Subscription: sinkSubscription}},
		BatchSize:   100,
		CreateTopic: true,
	}
	if b.spool != "" {
		settings.Spool = connect.SpoolSettings{Mode: connect.SpoolAlways, Dir: b.spool, NoSync: true}
		settings.BatchTimeout, settings.BatchSize = 10*time.Millisecond, 8
	}
	var once sync.Once
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.done <- connect.StreamSink(ctx, settings, func(ctx context.Context) (connect.Sink, error) {
			sink, err := b.target.Open(ctx)
			if err == nil && wrap != nil {
				sink = wrap(sink)
			}
			return sink, err
		})
	}()
	b.Cleanup(func() { once.Do(cancel); <-stopped })
	b.waitFor("the sink to subscribe", func() bool {
		s, ok := b.broker.Subscription(sinkTopic, sinkSubscription)
		return ok && len(s.Connected) > 0
	})
	return r
}

// log shows the runtime's lines where the test shows its own.
func (b *sinkBench) log() *zap.Logger {
	return zaptest.NewLogger(b, zaptest.Level(zap.ErrorLevel))
}

// stop ends the run as SIGTERM does and waits for it.
func (r *run) stop() {
	r.bench.Helper()
	r.cancel()
	r.wait()
}

func (r *run) wait() {
	r.bench.Helper()
	select {
	case err := <-r.done:
		r.bench.must(err, "the sink stopped with an error")
	case <-time.After(r.bench.patience):
		r.bench.Fatalf("the sink did not stop: Write must return promptly once its context is done")
	}
	r.bench.waitFor("the broker to notice the stop", func() bool {
		s, _ := r.bench.broker.Subscription(sinkTopic, sinkSubscription)
		return len(s.Connected) == 0
	})
}

func (b *sinkBench) waitFor(what string, met func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), b.patience)
	defer cancel()
	if err := b.broker.WaitFor(ctx, met); err != nil {
		s, _ := b.broker.Subscription(sinkTopic, sinkSubscription)
		b.Fatalf("waited in vain for %s; the subscription stands at %+v", what, s)
	}
}

// settled waits until everything published was acknowledged, and nothing waits in the spool.
func (b *sinkBench) settled() {
	b.Helper()
	b.waitFor("every record to be acknowledged", func() bool {
		s, ok := b.broker.Subscription(sinkTopic, sinkSubscription)
		return ok && s.Backlog == 0
	})
	deadline := time.After(b.patience)
	for !b.drained() {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			b.Fatalf("waited in vain for the messages in the spool to be written")
		}
	}
}

// drained tells whether the sink has a spool, where it is to have one, and nothing waits in it. A sink that has only just subscribed may
// not tell of it yet.
func (b *sinkBench) drained() bool {
	families, err := b.metrics.Gather()
	b.must(err, "gather metrics")
	for _, f := range families {
		if f.GetName() == "danube_connector_spool_messages" {
			return f.GetMetric()[0].GetGauge().GetValue() == 0 // of the one route
		}
	}
	return b.spool == ""
}

// stored reads back what the target holds.
func (b *sinkBench) stored() []row {
	b.Helper()
	var rows []row
	for i, doc := range b.target.Stored(b.TB) {
		var r row
		if err := json.Unmarshal(doc, &r); err != nil {
			b.Fatalf("document %d that the target holds is not the JSON that was sent: %v\n%.200s", i, err, doc)
		}
		rows = append(rows, r)
	}
	return rows
}

// expectAll checks that rows 0 to sent-1 are stored, unchanged and in order of their key; once each where the target promises it.
func (b *sinkBench) expectAll(skip ...int) {
	b.Helper()
	skipped := make(map[int]bool)
	for _, seq := range skip {
		skipped[seq] = true
	}
	times := make(map[int]int)
	last := map[string]int{}
	for _, r := range b.stored() {
		times[r.Seq]++
		if want := fmt.Sprintf("k%d", r.Seq%3); r.Key != want || r.Text != "déjà vu №"+strconv.Itoa(r.Seq) {
			b.Errorf("record %d is stored with other content than it was sent with: %+v", r.Seq, r)
		}
		// A record that comes again goes back in order; only its first time counts.
		if prev, seen := last[r.Key]; times[r.Seq] == 1 {
			if seen && r.Seq < prev {
				b.Errorf("records of key %s are out of order: %d was stored after %d", r.Key, r.Seq, prev)
			}
			last[r.Key] = r.Seq
		}
	}
	for seq := range b.sent {
		switch n := times[seq]; {
		case skipped[seq] && n > 0:
			b.Errorf("record %d must have been rejected, and it is stored", seq)
		case skipped[seq]:
		case n == 0:
			b.Errorf("record %d is lost: it was acknowledged and the target does not hold it; Write must not return nil before it is durable", seq)
		case n > 1 && b.target.Idempotent:
			b.Errorf("record %d is stored %d times; write by Record.EventID or a key so that a repeated record is the same one", seq, n)
		}
	}
}
