package connecttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a target that keeps documents in the process.
type memory struct {
	mu   sync.Mutex
	docs [][]byte
	ids  map[string]bool // event ids, where it is idempotent
}

func (m *memory) put(r connect.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids != nil {
		if m.ids[r.EventID()] {
			return
		}
		m.ids[r.EventID()] = true
	}
	m.docs = append(m.docs, bytes.Clone(r.Value))
}

func (m *memory) stored(testing.TB) [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.docs)
}

func (m *memory) Close() error { return nil }

// Write is the right way: bad records are rejected alone, everything else is stored before it returns.
func (m *memory) Write(_ context.Context, batch []connect.Record) error {
	var bad connect.BatchError
	for i, r := range batch {
		if !json.Valid(r.Value) {
			bad.Add(i, connect.Reject(errors.New("not JSON")))
			continue
		}
		m.put(r)
	}
	return bad.Err()
}

// wholesale rejects a batch as a whole, which the runtime has to take apart.
type wholesale struct{ *memory }

func (w wholesale) Write(ctx context.Context, batch []connect.Record) error {
	for _, r := range batch {
		if !json.Valid(r.Value) {
			return connect.Reject(fmt.Errorf("one of %d records is not JSON", len(batch)))
		}
	}
	return w.memory.Write(ctx, batch)
}

func target(m *memory, sink connect.Sink) SinkTarget {
	return SinkTarget{
		Open:       func(context.Context) (connect.Sink, error) { return sink, nil },
		Stored:     m.stored,
		Poison:     []byte("{"),
		Idempotent: m.ids != nil,
	}
}

func TestGoodSinksPass(t *testing.T) {
	t.Parallel()
	t.Run("at least once", func(t *testing.T) {
		Sink(t, func(*testing.T) SinkTarget {
			m := new(memory)
			return target(m, m)
		})
	})
	t.Run("idempotent", func(t *testing.T) {
		Sink(t, func(*testing.T) SinkTarget {
			m := &memory{ids: make(map[string]bool)}
			return target(m, wholesale{m})
		})
	})
}

// A broken sink does one thing wrong.
type broken struct {
	*memory
	write func(m *memory, batch []connect.Record) error
	mu    sync.Mutex
}

func (b *broken) Write(_ context.Context, batch []connect.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.write(b.memory, batch)
}

// TestEachCaseCatchesItsBug runs each case against a sink that has the bug the case is there for.
func TestEachCaseCatchesItsBug(t *testing.T) {
	t.Parallel()
	var kept []connect.Record
	twins := map[string]func(m *memory, batch []connect.Record) error{
		"delivery": func(m *memory, batch []connect.Record) error { // loses the last record of full batches
			if len(batch) > 1 {
				batch = batch[:len(batch)-1]
			}
			return m.Write(context.Background(), batch)
		},
		"redelivery": func(m *memory, batch []connect.Record) error { // promises what it does not hold
			for _, r := range batch {
				m.mu.Lock()
				m.docs = append(m.docs, bytes.Clone(r.Value))
				m.mu.Unlock()
			}
			return nil
		},
		"poison record": func(m *memory, batch []connect.Record) error { // gives up the rest of the batch
			for i, r := range batch {
				if !json.Valid(r.Value) {
					var bad connect.BatchError
					bad.Add(i, connect.Reject(errors.New("not JSON")))
					return bad.Err()
				}
				m.put(r)
			}
			return nil
		},
		"transient failure": func(m *memory, batch []connect.Record) error { // writes a batch in the wrong order
			batch = slices.Clone(batch)
			slices.Reverse(batch)
			return m.Write(context.Background(), batch)
		},
		"crash before ack": func(m *memory, batch []connect.Record) error { // holds a record back until the next write
			whole := append(kept, batch...)
			kept = nil
			last := whole[len(whole)-1]
			last.Value = bytes.Clone(last.Value)
			kept = []connect.Record{last}
			return m.Write(context.Background(), whole[:len(whole)-1])
		},
		"crash in mid-batch": func(m *memory, batch []connect.Record) error { // takes a batch it has begun for one it has written
			m.mu.Lock()
			begun := m.ids["batch:"+batch[0].EventID()]
			m.ids["batch:"+batch[0].EventID()] = true
			m.mu.Unlock()
			if begun {
				return nil
			}
			return m.Write(context.Background(), batch)
		},
		"shutdown in mid-batch": func(m *memory, batch []connect.Record) error { // says that nothing was written when all was
			if err := m.Write(context.Background(), batch); err != nil {
				return err
			}
			return errors.New("always in doubt")
		},
		"broker restart": func(m *memory, batch []connect.Record) error { // thinks that offsets only grow
			for _, r := range batch {
				if r.Offset%40 != 39 {
					m.put(r)
				}
			}
			return nil
		},
		"large and odd values": func(m *memory, batch []connect.Record) error { // cuts long values
			for _, r := range batch {
				r.Value = bytes.ReplaceAll(r.Value, bytes.Repeat([]byte("x"), 1000), nil)
				m.put(r)
			}
			return nil
		},
	}
	for _, c := range sinkCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			twin := twins[c.name]
			require.NotNil(t, twin, "every case needs a sink that it catches")
			m := &memory{ids: make(map[string]bool)}
			messages := caught(t, func(tb testing.TB) {
				b := newSinkBench(tb, target(m, &broken{memory: m, write: twin}))
				b.patience = 3 * time.Second
				c.run(b)
			})
			require.NotEmpty(t, messages, "the case does not catch that %s", c.catch)
		})
	}
}

// caught runs f with a testing.TB whose failures are collected instead of reported.
func caught(t *testing.T, f func(testing.TB)) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.cleanUp()
		f(r)
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages
}

// A recorder is a testing.TB that keeps failures to itself.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	messages []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) cleanUp() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

// Logf says nothing: what a broken sink makes the runtime log is no news.
func (r *recorder) Logf(string, ...any) {}
