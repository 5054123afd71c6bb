package connecttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// shelf is an origin that keeps values in the process.
type shelf struct {
	mu     sync.Mutex
	values [][]byte
	grown  chan struct{}
}

func newShelf() *shelf { return &shelf{grown: make(chan struct{})} }

func (s *shelf) produce(_ testing.TB, values ...[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = append(s.values, values...)
	close(s.grown)
	s.grown = make(chan struct{})
}

// get gives up to ten values from place at on, waiting for the first.
func (s *shelf) get(ctx context.Context, at int) ([][]byte, error) {
	for {
		s.mu.Lock()
		values, grown := s.values[min(at, len(s.values)):], s.grown
		s.mu.Unlock()
		if len(values) > 0 {
			return values[:min(len(values), 10)], nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// shelfSource reads a shelf; the hooks make it wrong in one way each.
type shelfSource struct {
	shelf *shelf
	at    int
	hooks hooks
	reads int
}

type hooks struct {
	id       func(at, reads int) string
	position func(at int) int
	drop     func(at int) bool
	reverse  bool
	ignore   bool // the position given to open
	deaf     bool // to the context
}

func (s *shelfSource) Read(ctx context.Context) (connect.Batch, error) {
	if s.hooks.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	values, err := s.shelf.get(ctx, s.at)
	if err != nil {
		return connect.Batch{}, err
	}
	s.reads++
	var b connect.Batch
	for i, v := range values {
		at := s.at + i
		if s.hooks.drop != nil && s.hooks.drop(at) {
			continue
		}
		id := "shelf:" + strconv.Itoa(at)
		if s.hooks.id != nil {
			id = s.hooks.id(at, s.reads)
		}
		b.Records = append(b.Records, connect.Record{Value: bytes.Clone(v), Attributes: map[string]string{connect.EventIDAttribute: id}})
	}
	if s.hooks.reverse {
		slices.Reverse(b.Records)
	}
	s.at += len(values)
	at := s.at
	if s.hooks.position != nil {
		at = s.hooks.position(at)
	}
	b.Position = binary.BigEndian.AppendUint64(nil, uint64(at))
	return b, nil
}

func (s *shelfSource) Commit(context.Context, connect.Position) error { return nil }
func (s *shelfSource) Close() error                                   { return nil }

func origin(h hooks) (SourceOrigin, *shelf) {
	s := newShelf()
	return SourceOrigin{
		Open: func(_ context.Context, from connect.Position) (connect.Source, error) {
			source := &shelfSource{shelf: s, hooks: h}
			if from != nil && !h.ignore {
				source.at = int(binary.BigEndian.Uint64(from))
			}
			return source, nil
		},
		Produce: s.produce,
	}, s
}

func TestAGoodSourcePasses(t *testing.T) {
	t.Parallel()
	Source(t, func(*testing.T) SourceOrigin {
		o, _ := origin(hooks{})
		return o
	})
}

// TestEachCaseCatchesItsBrokenSource runs each case against a source that has the bug the case is there for.
func TestEachCaseCatchesItsBrokenSource(t *testing.T) {
	t.Parallel()
	var opened int
	twins := map[string]hooks{
		"delivery":                            {reverse: true},
		"restart from position":               {position: func(at int) int { return at - 1 }},
		"crash before the position is stored": {id: func(at, reads int) string { opened++; return fmt.Sprintf("%d-%d", at, opened) }},
		"crash before the first position":     {id: func(at, _ int) string { return "" }},
		"broker refuses":                      {drop: func(at int) bool { return at == 70 }},
		"shutdown in mid-batch":               {ignore: true},
		"commit":                              {drop: func(at int) bool { return at == 119 }},
	}
	for _, c := range sourceCases {
		t.Run(c.name, func(t *testing.T) {
			twin, ok := twins[c.name]
			require.True(t, ok, "every case needs a source that it catches")
			o, shelf := origin(twin)
			messages := caught(t, func(tb testing.TB) {
				b := newSourceBench(tb, o)
				b.patience = 3 * time.Second
				c.run(b)
			})
			require.NotEmpty(t, messages, "the case does not catch that %s", c.catch)
			shelf.produce(nil, []byte("{}")) // wakes a reader that is deaf to its context
		})
	}
}

func TestADeafSourceIsCaught(t *testing.T) {
	t.Parallel()
	o, shelf := origin(hooks{deaf: true})
	woken := make(chan struct{})
	messages := caught(t, func(tb testing.TB) {
		tb.Cleanup(func() { <-woken })
		b := newSourceBench(tb, o)
		b.patience = time.Second
		b.produce(1)
		r := b.start(nil)
		b.published()
		go func() {
			defer close(woken)
			<-time.After(2 * time.Second) // later than the suite's patience
			shelf.produce(nil, []byte(`{"seq": 0}`))
		}()
		r.stop()
	})
	require.Contains(t, messages[0], "Read must return once its context is done")
}
