package danube_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// TestNoFalseAlarm runs random traffic in which nothing is wrong with the subscription, STATES_SEEDS times, 300 by default: bursts, silences,
// slow and idle consumers, several of them, messages given back, lost streams, pauses, late answers. No state may be one that stands still.
func TestNoFalseAlarm(t *testing.T) {
	t.Parallel()
	seeds := uint64(300)
	if text := os.Getenv("STATES_SEEDS"); text != "" {
		var err error
		seeds, err = strconv.ParseUint(text, 10, 32)
		require.NoError(t, err, "STATES_SEEDS")
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			tr := newTraffic(seed)
			inLab(t, func(l *lab) {
				tr.lab = l
				tr.run()
			}, tr.options...)
		})
	}
}

// A traffic is one such run.
type traffic struct {
	lab       *lab
	random    *rand.Rand // of the main goroutine
	seed      uint64
	real      bool // the broker imitates the real one
	kind      danube.SubscriptionType
	consumers int
	options   []danubetest.Option

	deadlocked bool // streams that were lost while several consumers had full places have deadlocked the real broker

	mu       sync.Mutex
	received int
}

func newTraffic(seed uint64) *traffic {
	r := rand.New(rand.NewPCG(seed, 7))
	tr := &traffic{random: r, seed: seed, real: seed%2 == 0, kind: danube.SubscriptionType(r.IntN(4)), consumers: 1 + r.IntN(3)}
	if tr.kind == danube.Exclusive {
		tr.consumers = 1
	}
	// A window of 10 never fills the real broker's queue of commands, even where several consumers freeze a subscription.
	tr.options = []danubetest.Option{patient, danubetest.Seed(seed), danubetest.Window([]int{1, 3, 10}[r.IntN(3)])}
	if tr.real {
		tr.options = append(tr.options, imitating)
	}
	return tr
}

func (tr *traffic) run() {
	l := tr.lab
	var end context.CancelFunc
	l.ctx, end = context.WithTimeout(l.Context(), 100*time.Hour)
	l.Cleanup(end)
	with := func(*danube.ConsumerSettings) {}
	if tr.random.IntN(2) == 0 {
		with = l.withGauges(10 * time.Second)
	}
	var all []*watched
	p := l.publisher("p") // of the same client or not: what a client publishes tells its consumers something
	if tr.random.IntN(3) == 0 {
		p = producerOf(l, l.anotherClient(), "q")
	}
	ctx, cancel := context.WithCancel(l.ctx)
	var wg sync.WaitGroup
	for i := range tr.consumers {
		w := l.watch(func(s *danube.ConsumerSettings) {
			with(s)
			s.Type, s.Alone, s.Name = tr.kind, tr.consumers == 1, fmt.Sprint("c", i)
		})
		all = append(all, w)
		wg.Go(func() { tr.consume(ctx, w, rand.New(rand.NewPCG(tr.seed, uint64(i)))) })
	}
	published := 0
	for i := 0; i < 20 && !tr.deadlocked; i++ {
		published += tr.step(p, all)
	}
	cancel()
	wg.Wait()
	if tr.deadlocked {
		return // every alarm is right
	}
	for i, w := range all {
		for _, s := range w.told() {
			require.False(l, s.Stands(), "consumer %d of %d, %v: %+v", i, tr.consumers, tr.kind, w.tale())
		}
	}
	require.Positive(l, tr.received)
	require.Positive(l, published)
}

// step does one random thing and tells how many messages it published.
func (tr *traffic) step(p *danube.Producer, all []*watched) (published int) {
	l, r := tr.lab, tr.random
	away := tr.kind != danube.KeyShared || !tr.real // there, what a consumer that was away had in flight waits for its ack timeout of an hour
	w := all[r.IntN(len(all))]
	switch r.IntN(8) {
	case 0, 1, 2:
		n := []int{1, 1, 2, 5, 40}[r.IntN(5)]
		published = n
		ctx, cancel := context.WithTimeout(l.ctx, time.Hour)
		defer cancel()
		for range n {
			if err := p.Send(ctx, danube.Message{}); err != nil {
				require.True(l, tr.real && tr.consumers > 1, "%v", err)
				tr.deadlocked = true
				return published
			}
		}
	case 3:
		if away {
			l.broker.DropStreams()
		}
	case 4:
		if away {
			w.Pause(errors.New("the target is away"))
			time.Sleep(tr.duration())
			w.Resume()
		}
	case 5:
		l.broker.Delay("Ack", 2*time.Second, r.IntN(20))
	case 6:
		if !tr.real { // where a restart leaves a subscription as it was
			l.broker.Restart(true)
		}
	}
	time.Sleep(tr.duration())
	return published
}

func (tr *traffic) duration() time.Duration {
	return time.Duration(1+tr.random.IntN(5)) * []time.Duration{time.Millisecond, 100 * time.Millisecond, 5 * time.Second, time.Minute}[tr.random.IntN(4)]
}

// consume acknowledges what comes sooner or later, or gives it back.
func (tr *traffic) consume(ctx context.Context, w *watched, r *rand.Rand) {
	for {
		d, err := w.Receive(ctx)
		if err != nil {
			return
		}
		tr.mu.Lock()
		tr.received++
		tr.mu.Unlock()
		select {
		case <-time.After([]time.Duration{0, 0, 0, time.Millisecond, time.Second, 40 * time.Second, 200 * time.Second}[r.IntN(7)]):
		case <-ctx.Done():
		}
		if r.IntN(10) == 0 {
			w.Nack(d, time.Duration(r.IntN(30))*time.Second, "later")
		} else {
			w.Ack(d)
		}
	}
}
