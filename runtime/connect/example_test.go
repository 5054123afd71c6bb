package connect_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strconv"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A printer is a sink that prints what it is given.
type printer struct {
	prefix string
	left   int
	done   func()
}

func (p *printer) Write(_ context.Context, batch []connect.Record) error {
	var bad connect.BatchError
	for i, r := range batch {
		if len(r.Value) == 0 {
			bad.Add(i, connect.Reject(fmt.Errorf("record %s is empty", r.EventID())))
			continue
		}
		fmt.Printf("%s%s (%s)\n", p.prefix, r.Value, r.EventID())
	}
	if p.left -= len(batch); p.left == 0 {
		p.done()
	}
	return bad.Err() // nil when every record was written
}

func (p *printer) Close() error { return nil }

// A counter is a source of three records, whose position is the number of those that were read.
type counter struct{ next int }

func (c *counter) Read(context.Context) (connect.Batch, error) {
	if c.next == 3 {
		return connect.Batch{}, io.EOF
	}
	c.next++
	return connect.Batch{
		Records: []connect.Record{{
			Value:      fmt.Appendf(nil, "record %d", c.next),
			Attributes: map[string]string{connect.EventIDAttribute: "counter:" + strconv.Itoa(c.next)},
		}},
		Position: connect.Position(strconv.Itoa(c.next)),
	}, nil
}

func (c *counter) Commit(context.Context, connect.Position) error { return nil }
func (c *counter) Close() error                                   { return nil }

// positions keeps a position in memory; RunSource keeps it in a file.
type positions struct{ stored []byte }

func (p *positions) Load() ([]byte, error) { return p.stored, nil }
func (p *positions) Save(b []byte) error   { p.stored = b; return nil }

// A whole main function is connect.RunSink or connect.RunSource. Below them lie functions that a program or a test calls with a context,
// here with a source and a sink on one broker.
func Example() {
	var cleanup tb
	defer cleanup.run()
	broker := danubetest.Start(&cleanup)
	settings := connect.Settings{ServiceURL: broker.URL(), Name: "example"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	// The sink comes first: a new subscription starts at the newest message.
	sunk := make(chan error, 1)
	go func() {
		sunk <- connect.StreamSink(ctx, connect.SinkSettings{
			Settings: settings, CreateTopic: true, Routes: []connect.SinkRoute{{From: "/default/numbers", Subscription: "printer"}},
		}, func(context.Context) (connect.Sink, error) {
			return &printer{prefix: "got ", left: 3, done: cancel}, nil
		})
	}()
	subscribed := func() bool { s, _ := broker.Subscription("/default/numbers", "printer"); return len(s.Connected) > 0 }
	if err := broker.WaitFor(ctx, subscribed); err != nil {
		log.Fatal(err)
	}

	store := new(positions)
	err := connect.StreamSource(ctx, connect.SourceSettings{Settings: settings, Topic: "/default/numbers", Reliable: true, Positions: store},
		func(context.Context, connect.Position) (connect.Source, error) { return &counter{}, nil })
	fmt.Println("source:", err, "position:", string(store.stored))
	fmt.Println("sink:", <-sunk)
	// Unordered output:
	// got record 1 (counter:1)
	// got record 2 (counter:2)
	// got record 3 (counter:3)
	// source: <nil> position: 3
	// sink: <nil>
}

// tb is what danubetest.Start needs where there is no test.
type tb struct{ cleanups []func() }

func (t *tb) Helper()                           {}
func (t *tb) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *tb) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

func (t *tb) run() {
	for _, f := range t.cleanups {
		f()
	}
}
