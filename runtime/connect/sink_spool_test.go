package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A theatre is a broker on a fake clock, a publisher and a target that fails and tarries as the test says.
type theatre struct {
	*testing.T
	broker   *danubetest.Broker
	client   danube.Option
	producer *danube.Producer
	sent     int

	mu     sync.Mutex
	away   bool          // writes fail
	tarry  time.Duration // writes take so long
	taken  []int         // what the target has, in order
	widest int           // records in the largest batch
}

func newTheatre(t *testing.T, opts ...danubetest.Option) *theatre {
	t.Helper()
	broker, err := danubetest.New(opts...)
	require.NoError(t, err)
	listener, admin := bufconn.Listen(1<<20), bufconn.Listen(1<<16)
	require.NoError(t, broker.Serve(listener, admin))
	t.Cleanup(broker.Close)
	w := &theatre{T: t, broker: broker}
	w.client = danube.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) })
	client, err := danube.New("http://memory:1", w.client)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	w.producer, err = client.NewProducer(danube.ProducerSettings{Topic: ordersTopic, Name: "p", Reliable: true})
	require.NoError(t, err)
	require.NoError(t, w.producer.Register(t.Context()))
	return w
}

// start runs a sink until end is called, which gives its error.
func (w *theatre) start(change func(*SinkSettings)) (end func() error) {
	w.Helper()
	settings := SinkSettings{
		Settings: Settings{
			ServiceURL: "http://memory:1", Client: []danube.Option{w.client}, Name: "c", RetryBase: 10 * time.Millisecond, RetryMax: time.Second,
			Metrics: prometheus.NewRegistry(), Health: new(Health), ShutdownTimeout: time.Second,
		},
		Routes: []SinkRoute{{From: ordersTopic, Subscription: "s"}}, BatchSize: 10_000,
	}
	change(&settings)
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan error, 1)
	go func() {
		done <- StreamSink(ctx, settings, func(context.Context) (Sink, error) { return writerFunc(w.write), nil })
	}()
	for len(done) == 0 {
		if st, _ := w.broker.Subscription(ordersTopic, "s"); len(st.Connected) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return sync.OnceValue(func() error { cancel(); return <-done })
}

func (w *theatre) write(ctx context.Context, batch []Record) error {
	w.mu.Lock()
	away, tarry := w.away, w.tarry
	w.mu.Unlock()
	if away {
		return errors.New("connection refused")
	}
	if tarry > 0 {
		select {
		case <-time.After(tarry):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range batch {
		n, err := strconv.Atoi(string(r.Value))
		if err != nil {
			return Fatal(err)
		}
		w.taken = append(w.taken, n)
	}
	w.widest = max(w.widest, len(batch))
	return nil
}

func (w *theatre) target(away bool, tarry time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away, w.tarry = away, tarry
}

// publish sends n numbers, one every so often.
func (w *theatre) publish(n int, every time.Duration) {
	w.Helper()
	for range n {
		require.NoError(w, w.producer.Send(w.Context(), danube.Message{Key: fmt.Sprint("k", w.sent%3), Payload: fmt.Append(nil, w.sent)}))
		w.sent++
		time.Sleep(every)
	}
}

// lost waits until nothing more comes and lists what the target does not have. It fails when what it has is not in order of the keys.
func (w *theatre) lost() []int {
	w.Helper()
	before := -1
	for {
		time.Sleep(5 * time.Second)
		w.mu.Lock()
		now := len(w.taken)
		w.mu.Unlock()
		if now == before {
			break
		}
		before = now
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	missing := make(map[int]bool)
	for i := range w.sent {
		missing[i] = true
	}
	last := map[int]int{0: -1, 1: -1, 2: -1}
	for _, n := range w.taken {
		if !missing[n] {
			continue // a copy
		}
		delete(missing, n)
		require.Greater(w, n, last[n%3], "order of key k%d", n%3)
		last[n%3] = n
	}
	return slices.Sorted(maps.Keys(missing))
}

// with gives a spool of its own to each sink that is started.
func (w *theatre) with(mode string) func(*SinkSettings) {
	dir := w.TempDir()
	return func(s *SinkSettings) {
		if s.Spool = (SpoolSettings{Mode: mode, NoSync: true}); mode != SpoolOff {
			s.Spool.Dir = dir
		}
	}
}

// inTheatres runs a test on the friendly broker and on one that drops what is unread beyond 256 messages, as the real one does.
func inTheatres(t *testing.T, test func(w *theatre)) {
	t.Helper()
	for name, opts := range map[string][]danubetest.Option{"friendly": nil, "v0.15": {danubetest.Imitate("v0.15")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(newTheatre(t, opts...)) })
		})
	}
}

func TestATargetAwayForADayLosesNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{SpoolAuto, SpoolAlways} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			inTheatres(t, func(w *theatre) {
				end := w.start(w.with(mode))
				w.publish(50, 10*time.Millisecond)
				w.target(true, 0)
				w.publish(2000, 43*time.Second)
				w.publish(500, 10*time.Millisecond)
				w.target(false, 0)
				w.publish(50, 10*time.Millisecond)
				require.Empty(w, w.lost())
				require.Len(w, w.taken, w.sent, "each once")
				require.NoError(w, end())
			})
		})
	}
}

// Without a spool the same loses messages on the broker that drops them, so the test above can fail.
func TestWithoutASpoolTheBrokerDropsWhatItCannotDeliver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newTheatre(t, danubetest.Imitate("v0.15"))
		end := w.start(w.with(SpoolOff))
		w.publish(50, 10*time.Millisecond)
		w.target(true, 0)
		w.publish(1000, 10*time.Millisecond)
		w.target(false, 0)
		require.NotEmpty(w, w.lost())
		require.NoError(w, end())
	})
}

func TestABatchMayBeLargerThanTheWindow(t *testing.T) {
	t.Parallel()
	inTheatres(t, func(w *theatre) {
		end := w.start(func(s *SinkSettings) {
			w.with(SpoolAlways)(s)
			s.BatchTimeout = 10 * time.Second
		})
		w.publish(3000, 2*time.Millisecond)
		require.Empty(w, w.lost())
		require.Equal(w, 3000, w.widest, "one batch of all that came in ten seconds")
		require.NoError(w, end())
	})
}

// What lies in the spool is written first by the next process, and what the broker delivers again is recognised.
func TestASpoolOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	inTheatres(t, func(w *theatre) {
		with := w.with(SpoolAuto)
		w.target(true, 0)
		for range 3 {
			end := w.start(with)
			w.publish(300, 5*time.Millisecond)
			require.NoError(w, end())
			require.Empty(w, w.taken)
		}
		w.target(false, 0)
		end := w.start(with)
		require.Empty(w, w.lost())
		require.Len(w, w.taken, w.sent, "each once")
		require.NoError(w, end())
	})
}

func TestAFullSpoolPausesOrStops(t *testing.T) {
	t.Parallel()
	small := func(w *theatre, s *SinkSettings) {
		w.with(SpoolAuto)(s)
		s.Spool.MaxBytes = 20_000
	}
	t.Run("pause", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newTheatre(t) // this broker keeps what is unread
			var health *Health
			end := w.start(func(s *SinkSettings) {
				small(w, s)
				health = s.Health
			})
			w.target(true, 0)
			w.publish(1000, time.Millisecond)
			require.ErrorContains(t, health.Ready(t.Context()), "spool: the spool is full")
			st, _ := w.broker.Subscription(ordersTopic, "s")
			require.Greater(t, st.Backlog, 500, "the broker has the rest")
			time.Sleep(time.Minute)
			w.target(false, 0)
			require.Empty(t, w.lost())
			require.NoError(t, health.Ready(t.Context()))
			require.NoError(t, end())
		})
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newTheatre(t)
			end := w.start(func(s *SinkSettings) {
				small(w, s)
				s.Spool.StopWhenFull = true
			})
			w.target(true, 0)
			w.publish(1000, time.Millisecond)
			err := end()
			require.ErrorIs(t, err, ErrFatal)
			require.ErrorContains(t, err, "raise spool.max_bytes")
		})
	})
}

// TestAutoLosesNothingThatAlwaysKeeps runs random plays twice: targets that tarry and go away, publishers of many speeds, windows and
// rings. SPOOL_SEEDS of them, 20 by default.
func TestAutoLosesNothingThatAlwaysKeeps(t *testing.T) {
	t.Parallel()
	seeds := 20
	if testing.Short() { // with the race detector a play takes several times as long
		seeds = 5
	}
	if text := os.Getenv("SPOOL_SEEDS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err, "SPOOL_SEEDS")
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			var lost [2][]int
			for i, mode := range []string{SpoolAlways, SpoolAuto} {
				synctest.Test(t, func(t *testing.T) { lost[i] = play(t, uint64(seed), mode) })
			}
			if len(lost[0]) == 0 {
				require.Empty(t, lost[1])
			}
		})
	}
}

func play(t *testing.T, seed uint64, mode string) []int {
	r := rand.New(rand.NewPCG(seed, 7))
	w := newTheatre(t, danubetest.Imitate("v0.15"), danubetest.Window([]int{1, 3, 10, 100}[r.IntN(4)]))
	workers := 1 + r.IntN(3)
	end := w.start(func(s *SinkSettings) {
		w.with(mode)(s)
		s.Workers, s.BatchTimeout = workers, time.Duration(1+r.IntN(200))*time.Millisecond
	})
	for range 6 {
		away, tarry := r.IntN(3) == 0, time.Duration(r.IntN(300))*time.Millisecond*time.Duration(r.IntN(2))
		w.target(away, tarry)
		w.publish(r.IntN(400), time.Duration(r.IntN(4000))*time.Microsecond)
		time.Sleep(time.Duration(r.IntN(20)) * time.Second)
	}
	w.target(false, 0)
	lost := w.lost()
	require.NoError(t, end())
	return lost
}
