package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ordersTopic = "/default/orders"

// A scripted sink does what write says and keeps what it took.
type scripted struct {
	write func(batch []Record) error // nil takes all

	mu    sync.Mutex
	taken []string // values
}

func (s *scripted) Write(_ context.Context, batch []Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.write != nil {
		if err := s.write(batch); err != nil {
			return err
		}
	}
	for _, r := range batch {
		s.taken = append(s.taken, string(r.Value))
	}
	return nil
}

func (s *scripted) Close() error { return nil }

func (s *scripted) values() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.taken...)
}

// A stage is a broker and a sink at work on it.
type stage struct {
	*testing.T
	broker   *danubetest.Broker
	producer *danube.Producer
	health   *Health
	registry *prometheus.Registry
	done     chan error
	cancel   context.CancelFunc
}

func newStage(t *testing.T, opts ...danubetest.Option) *stage {
	t.Helper()
	s := &stage{T: t, broker: danubetest.Start(t, opts...), health: new(Health), registry: prometheus.NewRegistry(), done: make(chan error, 1)}
	client, err := danube.New(s.broker.URL())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	s.producer, err = client.NewProducer(danube.ProducerSettings{Topic: ordersTopic, Name: "p", Reliable: true})
	require.NoError(t, err)
	return s
}

func (s *stage) settings() Settings {
	return Settings{
		ServiceURL: s.broker.URL(), Name: "c", RetryBase: time.Millisecond, RetryMax: 10 * time.Millisecond,
		Health: s.health, Metrics: s.registry, ShutdownTimeout: 10 * time.Second,
	}
}

// sink runs sinks that open makes until the test ends or stop is called.
func (s *stage) sink(change func(*SinkSettings), open func(context.Context) (Sink, error)) {
	s.Helper()
	settings := SinkSettings{Settings: s.settings(), Routes: []SinkRoute{{From: ordersTopic, To: "target", Subscription: "s"}}, CreateTopic: true}
	if change != nil {
		change(&settings)
	}
	ctx, cancel := context.WithCancel(s.Context())
	s.cancel = cancel
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.done <- StreamSink(ctx, settings, open)
	}()
	s.Cleanup(func() { cancel(); <-finished })
	s.until("subscribed", func() bool { st, _ := s.broker.Subscription(ordersTopic, "s"); return len(st.Connected) > 0 })
}

func opening(sink Sink) func(context.Context) (Sink, error) {
	return func(context.Context) (Sink, error) { return sink, nil }
}

func (s *stage) until(what string, met func() bool) {
	s.Helper()
	require.Eventually(s, met, 20*time.Second, time.Millisecond, what)
}

func (s *stage) publish(from, to int) {
	s.Helper()
	for i := from; i < to; i++ {
		require.NoError(s, s.producer.Send(s.Context(), danube.Message{Key: fmt.Sprintf("k%d", i%7), Payload: fmt.Append(nil, i)}))
	}
}

func (s *stage) settled() {
	s.Helper()
	s.until("all acknowledged", func() bool { st, _ := s.broker.Subscription(ordersTopic, "s"); return st.Backlog == 0 })
}

func (s *stage) stop() error {
	s.Helper()
	s.cancel()
	return s.ended()
}

func (s *stage) ended() error {
	s.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(20 * time.Second):
		s.Fatal("the pipeline does not end")
		return nil
	}
}

// While the target is away no record may be held beyond the broker's ack timeout, or after a few rounds the real broker blocks the
// subscription for ever; this policy would after the second.
func TestATargetAwayForLongerThanTheAckTimeoutCostsNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, danubetest.Policy(danubetest.FailurePolicy{MaxRedeliveries: 1, AckTimeout: 600 * time.Millisecond, BaseDelay: time.Millisecond, Fixed: true}))
	away := make(chan struct{})
	target := &scripted{}
	target.write = func([]Record) error {
		select {
		case <-away:
			return nil
		default:
			return errors.New("connection refused")
		}
	}
	s.sink(func(c *SinkSettings) { c.AckTimeout = 600 * time.Millisecond }, opening(target))
	s.publish(0, 5)
	s.until("the stream closed", func() bool { st, _ := s.broker.Subscription(ordersTopic, "s"); return len(st.Connected) == 0 })
	s.publish(5, 30)
	require.ErrorContains(t, s.health.Ready(t.Context()), "the target has kept records waiting")
	require.ErrorContains(t, s.health.Ready(t.Context()), "connection refused")
	require.NoError(t, s.health.Live(), "waiting is no failure")
	<-time.After(2 * time.Second) // several ack timeouts
	close(away)
	s.settled()
	st, _ := s.broker.Subscription(ordersTopic, "s")
	require.False(t, st.Blocked)
	s.until("ready", func() bool { return s.health.Ready(t.Context()) == nil })
	require.NoError(t, s.stop())
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprint(i))
	}
	require.Equal(t, want, target.values(), "in order and each once")
}

func TestRejectedRecordsGoWhereTheConfigurationSays(t *testing.T) {
	t.Parallel()
	reject := func(batch []Record) error {
		for _, r := range batch {
			if string(r.Value) == "3" {
				return Reject(errors.New("three is no number"))
			}
		}
		return nil
	}
	t.Run("skip", func(t *testing.T) {
		t.Parallel()
		s, target := newStage(t), &scripted{write: reject}
		s.sink(func(c *SinkSettings) { c.OnReject = "skip" }, opening(target))
		s.publish(0, 10)
		s.settled()
		require.NoError(t, s.stop())
		require.Len(t, target.values(), 9)
		require.NotContains(t, s.broker.Topics(), ordersTopic+"-dlq")
		require.Equal(t, 1.0, s.metric("danube_connector_dead_letters_total"))
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		s, target := newStage(t), &scripted{write: reject}
		s.sink(func(c *SinkSettings) { c.OnReject = "stop" }, opening(target))
		s.publish(0, 10)
		err := s.ended()
		require.Equal(t, ClassFatal, ClassOf(err))
		require.ErrorContains(t, err, "three is no number")
		require.ErrorIs(t, s.health.Live(), ErrFatal)
		st, _ := s.broker.Subscription(ordersTopic, "s")
		require.GreaterOrEqual(t, st.Backlog, 7, "the rejected record and all after it wait for the next start")
	})
	t.Run("dead letter", func(t *testing.T) {
		t.Parallel()
		s, target := newStage(t), &scripted{write: reject}
		s.sink(func(c *SinkSettings) { c.DeadLetterTopic = "/default/bad" }, opening(target))
		s.publish(0, 10)
		s.settled()
		require.NoError(t, s.stop())
		letters := s.broker.Messages("/default/bad")
		require.Len(t, letters, 1)
		a := letters[0].Attributes
		require.Equal(t, "3", string(letters[0].Payload))
		require.Equal(t, "k3", letters[0].Key)
		require.Equal(t, []string{ordersTopic, "s", "3", "p", "three is no number", "rejected"}, []string{
			a["x-original-topic"], a["x-original-subscription"], a["x-original-topic-offset"], a["x-original-producer"], a["x-failure-reason"], a["x-error-class"],
		})
		original := s.broker.Messages(ordersTopic)[3]
		want := Record{Topic: ordersTopic, Partition: -1, Offset: 3, PublishTime: original.PublishTime, Producer: "p"}.EventID()
		require.Equal(t, want, a[EventIDAttribute], "a replay is recognised as the same record")
	})
}

// metric sums the samples of a metric.
func (s *stage) metric(name string) float64 {
	s.Helper()
	families, err := s.registry.Gather()
	require.NoError(s, err)
	for _, f := range families {
		if f.GetName() == name {
			var sum float64
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			return sum
		}
	}
	s.Fatalf("no metric %s", name)
	return 0
}

func TestWorkersKeepTheOrderOfEachKey(t *testing.T) {
	t.Parallel()
	s := newStage(t, danubetest.Window(200))
	var mu sync.Mutex
	last := map[string]int{}
	opened, overlap, busy := 0, 0, 0
	open := func(context.Context) (Sink, error) {
		mu.Lock()
		defer mu.Unlock()
		opened++
		return writerFunc(func(_ context.Context, batch []Record) error {
			mu.Lock()
			busy++
			overlap = max(overlap, busy)
			mu.Unlock()
			<-time.After(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			busy--
			for _, r := range batch {
				var n int
				fmt.Sscan(string(r.Value), &n)
				if n < last[r.Key] {
					return Fatal(fmt.Errorf("key %s: %d after %d", r.Key, n, last[r.Key]))
				}
				last[r.Key] = n
				if r.To != "target" {
					return Fatal(errors.New("the route's target is missing"))
				}
			}
			return nil
		}), nil
	}
	s.sink(func(c *SinkSettings) { c.Workers = 4; c.BatchSize = 5 }, open)
	s.publish(0, 300)
	s.settled()
	require.NoError(t, s.stop())
	require.Equal(t, 4, opened)
	require.Greater(t, overlap, 1, "the workers never worked side by side")
}

type writerFunc func(context.Context, []Record) error

func (f writerFunc) Write(ctx context.Context, batch []Record) error { return f(ctx, batch) }
func (f writerFunc) Close() error                                    { return nil }

func TestASinkThatCannotBeOpenedIsTriedAgainUnlessFatal(t *testing.T) {
	t.Parallel()
	s, tries := newStage(t), 0
	target := &scripted{}
	s.sink(nil, func(context.Context) (Sink, error) {
		if tries++; tries < 4 {
			return nil, errors.New("no route to host")
		}
		return target, nil
	})
	s.publish(0, 3)
	s.settled()
	require.NoError(t, s.stop())
	require.Equal(t, 4, tries)

	s = newStage(t)
	err := StreamSink(t.Context(), SinkSettings{Settings: s.settings(), Routes: []SinkRoute{{From: ordersTopic}}},
		func(context.Context) (Sink, error) { return nil, Fatal(errors.New("wrong password")) })
	require.EqualError(t, err, "open the sink: wrong password")
}

func TestMetricsOfASink(t *testing.T) {
	t.Parallel()
	s, failed := newStage(t), false
	target := &scripted{write: func([]Record) error {
		if !failed {
			failed = true
			return errors.New("once")
		}
		return nil
	}}
	s.sink(nil, opening(target))
	s.publish(0, 20)
	s.settled()
	s.until("confirmed", func() bool { return s.metric("danube_connector_acks_confirmed_total") == 20 })
	require.NoError(t, s.stop())
	require.Equal(t, 20.0, s.metric("danube_connector_messages_received_total"))
	require.Equal(t, 20.0, s.metric("danube_connector_messages_processed_total"))
	require.Equal(t, 1.0, s.metric("danube_connector_messages_retried_total"))
	require.Zero(t, s.metric("danube_connector_inflight_messages"))
	problems, err := testutil.GatherAndLint(s.registry)
	require.NoError(t, err)
	require.Empty(t, problems)
	expected := strings.NewReader(`# HELP danube_connector_messages_failed_total Failures by what followed from them.
# TYPE danube_connector_messages_failed_total counter
danube_connector_messages_failed_total{connector="c",error_type="fatal",topic="/default/orders"} 0
danube_connector_messages_failed_total{connector="c",error_type="rejected",topic="/default/orders"} 0
danube_connector_messages_failed_total{connector="c",error_type="retryable",topic="/default/orders"} 1
`)
	require.NoError(t, testutil.GatherAndCompare(s.registry, expected, "danube_connector_messages_failed_total"))
}

// A fixed source returns its batches and then err.
type fixed struct {
	batches []Batch
	err     error
}

func (f *fixed) Read(ctx context.Context) (Batch, error) {
	if len(f.batches) > 0 {
		b := f.batches[0]
		f.batches = f.batches[1:]
		return b, nil
	}
	if f.err != nil {
		return Batch{}, f.err
	}
	<-ctx.Done()
	return Batch{}, ctx.Err()
}

func (f *fixed) Commit(context.Context, Position) error { return nil }
func (f *fixed) Close() error                           { return nil }

type memoryPositions struct{ stored []byte }

func (m *memoryPositions) Load() ([]byte, error) { return m.stored, nil }
func (m *memoryPositions) Save(p []byte) error   { m.stored = p; return nil }

func (s *stage) source(f *fixed, store PositionStore) error {
	s.Helper()
	settings := SourceSettings{Settings: s.settings(), Topic: ordersTopic, Reliable: true, Positions: store}
	return StreamSource(s.Context(), settings, func(context.Context, Position) (Source, error) { return f, nil })
}

func TestASourceThatEndsStopsAfterItsLastPosition(t *testing.T) {
	t.Parallel()
	s, store := newStage(t), new(memoryPositions)
	err := s.source(&fixed{batches: []Batch{
		{Records: []Record{{Value: []byte("a")}, {Topic: "/default/other", Value: []byte("b")}}, Position: Position("1")},
		{Records: []Record{{Value: []byte("c")}}, Position: Position("2")},
	}, err: io.EOF}, store)
	require.NoError(t, err)
	require.Equal(t, "2", string(store.stored))
	require.Equal(t, 2, s.broker.Published(ordersTopic))
	require.Equal(t, 1, s.broker.Published("/default/other"))
}

func TestARecordThatTheBrokerRefusesStopsTheSource(t *testing.T) {
	t.Parallel()
	s, store := newStage(t), new(memoryPositions)
	err := s.source(&fixed{batches: []Batch{
		{Records: []Record{{Value: []byte("a")}}, Position: Position("1")},
		{Records: []Record{{Value: make([]byte, 5<<20), Attributes: map[string]string{EventIDAttribute: "big-one"}}}, Position: Position("2")},
		{Records: []Record{{Value: []byte("c")}}, Position: Position("3")},
	}, err: io.EOF}, store)
	require.Equal(t, ClassFatal, ClassOf(err))
	require.ErrorContains(t, err, "big-one")
	require.Equal(t, "1", string(store.stored), "nothing after a refused record is committed")
	require.Equal(t, 1, s.broker.Published(ordersTopic))
}

func TestASourceThatBreaksItsPromiseIsTold(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, newStage(t).source(&fixed{batches: []Batch{{}}}, new(memoryPositions)), "a source must wait for one")
	require.ErrorContains(t, newStage(t).source(&fixed{err: Fatal(errors.New("no such table"))}, new(memoryPositions)), "read: no such table")
}
