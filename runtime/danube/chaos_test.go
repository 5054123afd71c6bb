package danube_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// TestChaos runs random programs of producers, consumers and faults on a fake clock, CHAOS_SEEDS of them, 200 by default. A program that
// fails prints how to run it again; what the scheduler does and the jitter of waits are not part of it, so it may take a few runs.
func TestChaos(t *testing.T) {
	t.Parallel()
	chaos(t, 200, false)
}

func chaos(t *testing.T, seeds uint64, imitate bool) {
	if testing.Short() { // with the race detector a program takes several times as long
		seeds /= 4
	}
	if text := os.Getenv("CHAOS_SEEDS"); text != "" {
		var err error
		seeds, err = strconv.ParseUint(text, 10, 32)
		require.NoError(t, err, "CHAOS_SEEDS")
	}
	again := "CHAOS_SEEDS=%d go test ./danube -count 10 -run '^" + t.Name() + "$/^seed=%d$'"
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			p := newProgram(seed, imitate)
			bubble(t, func(b *bench) {
				w := newWorld(b, p)
				defer func() {
					if t.Failed() {
						t.Logf("to run it again: "+again, seed+1, seed)
						w.tell()
					}
				}()
				w.run()
			}, p.options()...)
		})
	}
}

// A world is a running program.
type world struct {
	*bench
	*program
	ctx     context.Context // of senders and readers
	cancel  context.CancelFunc
	calm    atomic.Bool // nothing goes wrong any more: readers acknowledge at once
	senders sync.WaitGroup
	all     sync.WaitGroup // readers too
	clients []*danube.Client
	ledger  ledger

	producers []*danube.Producer
	readers   []*reader
	nudges    int
	undo      []func() // ends faults that ClearFaults does not
}

func newWorld(b *bench, p *program) *world {
	w := &world{bench: b, program: p}
	w.ledger.start = time.Now()
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.clients = []*danube.Client{b.client, b.anotherClient()}
	b.Cleanup(w.end)
	w.note("%s", p)
	return w
}

// run lets the program run, ends what goes wrong, and checks what has come of it.
func (w *world) run() {
	w.begin()
	for range w.faults {
		time.Sleep(time.Duration(w.random.Int64N(int64(w.pace))))
		synctest.Wait()
		w.disturb()
		w.checkBounds()
	}
	w.rest("after the faults")
	for n := range 2 { // the first makes topics that are missing
		for i, p := range w.producers {
			for partition := range w.topics() {
				w.sendSurely(p, w.plans[i].sender("last"), partition, n)
			}
		}
		w.rest("after a last message")
	}
	w.closeBooks()
	w.end()
	w.checkAll()
}

// begin starts everybody. Topics and subscriptions are there before the first message.
func (w *world) begin() {
	for i := range w.plans {
		p, err := w.clients[i%2].NewProducer(w.plans[i].settings)
		require.NoError(w, err)
		w.producers = append(w.producers, p)
		require.NoError(w, p.Register(w.ctx))
	}
	for _, sub := range w.subs {
		for i := range sub.consumers {
			settings := sub.settings
			settings.Name = fmt.Sprint(sub.settings.Subscription, "-c", i)
			k, err := w.clients[(i+1)%2].NewConsumer(settings)
			require.NoError(w, err)
			r := &reader{Consumer: k, world: w, plan: sub, name: settings.Name, random: w.source(settings.Name)}
			w.readers = append(w.readers, r)
			for k.Health() != nil {
				time.Sleep(time.Millisecond)
			}
			w.all.Go(r.read)
		}
	}
	for i, p := range w.producers {
		for n := range w.plans[i].senders {
			s := w.plans[i].sender(strconv.Itoa(n))
			w.senders.Go(func() { w.send(p, s) })
		}
	}
}

// rest ends all faults and waits until nothing is left to send, to deliver or to acknowledge.
func (w *world) rest(when string) {
	w.note("rest %s", when)
	synctest.Wait()
	w.calm.Store(true)
	for _, undo := range w.undo {
		undo()
	}
	w.undo = nil
	w.broker.ClearFaults()
	if w.broker.Stopped() {
		w.broker.Restart(true)
	}
	for _, r := range w.readers {
		r.Resume()
	}
	if w.lostAcks { // the broker has them in flight and the client does not know
		time.Sleep(time.Minute)
		w.broker.DropStreams()
	}
	w.senders.Wait()
	deadline := time.Now().Add(20 * time.Minute)
	for !w.rested() {
		if time.Now().After(deadline) {
			w.fail("nothing comes to rest %s: %s", when, w.state())
			return
		}
		time.Sleep(time.Second)
		if time.Until(deadline)%(3*time.Minute) < time.Second {
			w.nudge()
		}
		synctest.Wait()
	}
}

// rested tells whether every message that the broker has was delivered and acknowledged.
func (w *world) rested() bool {
	if w.ledger.open() > 0 {
		return false
	}
	gone := false // a topic that nobody has made since the broker lost its memory
	for _, sub := range w.subs {
		for _, topic := range w.topics() {
			s, ok := w.broker.Subscription(topic, sub.settings.Subscription)
			if missing := w.broker.Messages(topic) == nil; s.Backlog > 0 || ok == missing {
				return false
			}
			gone = gone || !ok
		}
	}
	for _, r := range w.readers {
		if r.Held() > 0 || r.Health() != nil && !gone {
			return false
		}
	}
	return true
}

// end closes everything. It is safe to call twice.
func (w *world) end() {
	w.cancel()
	w.all.Wait()
	for _, r := range w.readers {
		r.Close()
	}
	for _, p := range w.producers {
		p.Close()
	}
	w.senders.Wait()
	for _, c := range w.clients {
		_ = c.Close() // a second time it has nothing to close
	}
	w.readers, w.producers = nil, nil
}

// source is randomness for one of many who act at the same time, so that the program does not depend on who comes first.
func (p *program) source(name string) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(p.seed, h))
}

func (w *world) fail(format string, args ...any) {
	w.Errorf(format, args...)
	w.note(format, args...)
}
