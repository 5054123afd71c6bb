package bench

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

const (
	topic   = "/default/bench"
	payload = 1024
)

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// rate reports records a second of the runtime and their ratio to those of the client alone.
func rate(b *testing.B, bare, runtime time.Duration) {
	b.ReportMetric(float64(b.N)/runtime.Seconds(), "records/s")
	b.ReportMetric(float64(b.N)/bare.Seconds(), "bare-records/s")
	b.ReportMetric(bare.Seconds()/runtime.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op") // it would count both halves
}

// BenchmarkSink is a sink that does nothing, against a bare consumer that acknowledges at once.
func BenchmarkSink(b *testing.B) {
	for _, window := range []int{10, 1000} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			for _, mode := range []string{connect.SpoolOff, connect.SpoolAuto, connect.SpoolAlways} {
				b.Run("spool="+mode, func(b *testing.B) {
					bare := consume(b, window, acknowledge)
					sink := consume(b, window, func(ctx context.Context, broker *danubetest.Broker, took func()) {
						must(b, connect.StreamSink(ctx, connect.SinkSettings{
							Settings: connect.Settings{ServiceURL: broker.URL(), Name: "c"}, CreateTopic: true,
							Routes: []connect.SinkRoute{{From: topic, Subscription: "s"}},
							Spool:  connect.SpoolSettings{Mode: mode, Dir: b.TempDir()}, BatchTimeout: 5 * time.Millisecond,
						}, func(context.Context) (connect.Sink, error) { return discard(took), nil }))
					})
					rate(b, bare, sink)
				})
			}
		})
	}
}

// acknowledge is a consumer of the client alone.
func acknowledge(ctx context.Context, broker *danubetest.Broker, took func()) {
	client, err := danube.New(broker.URL())
	if err != nil {
		return
	}
	defer client.Close()
	c, err := client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c", CreateTopic: true})
	if err != nil {
		return
	}
	defer c.Close()
	for {
		d, err := c.Receive(ctx)
		if err != nil {
			return
		}
		c.Ack(d)
		took()
	}
}

type discard func()

func (d discard) Write(_ context.Context, batch []connect.Record) error {
	for range batch {
		d()
	}
	return nil
}

func (d discard) Close() error { return nil }

// consume publishes b.N messages as fast as a few producers can and measures until reader has taken all and the broker knows it.
func consume(b *testing.B, window int, reader func(ctx context.Context, broker *danubetest.Broker, took func())) time.Duration {
	b.Helper()
	broker := danubetest.Start(b, danubetest.Window(window), danubetest.History(0))
	ctx, cancel := context.WithCancel(b.Context())
	var taken atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		reader(ctx, broker, func() { taken.Add(1) })
	}()
	must(b, broker.WaitFor(b.Context(), func() bool { s, _ := broker.Subscription(topic, "s"); return len(s.Connected) > 0 }))
	start := time.Now()
	publish(b, broker.URL(), b.N)
	must(b, broker.WaitFor(b.Context(), func() bool { s, _ := broker.Subscription(topic, "s"); return s.Backlog == 0 }))
	took := time.Since(start)
	cancel()
	<-done
	broker.Close()
	return took
}

// publish sends n messages with many in flight, so that the reader is what is measured.
func publish(b *testing.B, url string, n int) {
	b.Helper()
	client, err := danube.New(url)
	must(b, err)
	defer client.Close()
	const inFlight = 64
	p, err := client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true, InFlight: inFlight})
	must(b, err)
	value := make([]byte, payload)
	errs := make(chan error, inFlight)
	var next atomic.Int64
	for range inFlight {
		go func() {
			for next.Add(1) <= int64(n) {
				if err := p.Send(b.Context(), danube.Message{Payload: value}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range inFlight {
		must(b, <-errs)
	}
}

// BenchmarkSource is a source that makes records up, against a bare producer that sends as many, one in flight.
func BenchmarkSource(b *testing.B) {
	broker := danubetest.Start(b, danubetest.History(0))
	value := make([]byte, payload)

	client, err := danube.New(broker.URL())
	must(b, err)
	defer client.Close()
	p, err := client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true})
	must(b, err)
	must(b, p.Register(b.Context()))
	start := time.Now()
	for range b.N {
		must(b, p.Send(b.Context(), danube.Message{Payload: value}))
	}
	bare := time.Since(start)

	start = time.Now()
	must(b, connect.StreamSource(b.Context(), connect.SourceSettings{
		Settings: connect.Settings{ServiceURL: broker.URL(), Name: "c"}, Topic: topic, Reliable: true, Positions: forgetful{},
	}, func(context.Context, connect.Position) (connect.Source, error) {
		return &maker{left: b.N, value: value}, nil
	}))
	rate(b, bare, time.Since(start))
}

type forgetful struct{}

func (forgetful) Load() ([]byte, error) { return nil, nil }
func (forgetful) Save([]byte) error     { return nil }

// A maker makes up batches of 1000 records.
type maker struct {
	left  int
	value []byte
}

func (m *maker) Read(context.Context) (connect.Batch, error) {
	if m.left == 0 {
		return connect.Batch{}, io.EOF
	}
	n := min(m.left, 1000)
	m.left -= n
	records := make([]connect.Record, n)
	for i := range records {
		records[i].Value = m.value
	}
	return connect.Batch{Records: records, Position: connect.Position("p")}, nil
}

func (m *maker) Commit(context.Context, connect.Position) error { return nil }
func (m *maker) Close() error                                   { return nil }
