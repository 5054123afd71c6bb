package danubetest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// modelSeeds is how many random runs a broker is compared with its model on; DANUBETEST_SEEDS asks for more. A seed that fails is
// run again by: go test ./danubetest -run 'TestTheBrokerDoesWhatTheModelSays/seed=N$'
func modelSeeds(t *testing.T, usual uint64) uint64 {
	text := os.Getenv("DANUBETEST_SEEDS")
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err, "DANUBETEST_SEEDS")
	return n
}

func TestTheBrokerDoesWhatTheModelSays(t *testing.T) {
	t.Parallel()
	for seed := range modelSeeds(t, 200) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			window, policy := randomSettings(random)
			bubble(t, func(t *testing.T, c *client) {
				s := newComparison(t, c, random, window, policy)
				for range 80 {
					s.step()
					s.compare()
				}
			}, danubetest.Window(window), danubetest.Policy(policy), danubetest.History(0))
		})
	}
}

func randomSettings(random *rand.Rand) (window int, policy danubetest.FailurePolicy) {
	return 1 + random.IntN(6), danubetest.FailurePolicy{
		MaxRedeliveries: uint32(random.IntN(4)),
		AckTimeout:      time.Duration(1+random.IntN(5)) * time.Second,
		BaseDelay:       time.Duration(random.IntN(3)) * 700 * time.Millisecond,
		MaxDelay:        time.Duration(2+random.IntN(3)) * time.Second,
		Fixed:           random.IntN(2) == 0,
		Poison:          []danubetest.PoisonPolicy{danubetest.Block, danubetest.Drop}[random.IntN(2)],
	}
}

// A comparison drives broker and model side by side.
type comparison struct {
	*client
	t       *testing.T
	random  *rand.Rand
	model   *model
	kind    danubepb.ConsumerRequest_SubscriptionType
	sender  *sender
	readers map[string]*reader
	seen    []*danubepb.StreamMessage // one copy of each message that was ever delivered
}

func newComparison(t *testing.T, c *client, random *rand.Rand, window int, policy danubetest.FailurePolicy) *comparison {
	s := &comparison{client: c, t: t, random: random, model: newModel(window, policy, time.Now()), readers: make(map[string]*reader)}
	s.kind = exclusive
	if random.IntN(2) == 0 {
		s.kind = shared
	}
	s.sender = c.producer(orders, "p", reliable)
	s.connect("c0") // the subscription counts from here on
	return s
}

// step does one random thing to both.
func (s *comparison) step() {
	switch s.random.IntN(12) {
	case 0, 1, 2, 3:
		for range 1 + s.random.IntN(4) {
			s.sender.send("x")
			s.model.publish()
		}
	case 4, 5, 6:
		s.each(func(r *reader, m *danubepb.StreamMessage) {
			r.ack(m)
			s.model.ack(offset(m))
		})
	case 7:
		s.each(func(r *reader, m *danubepb.StreamMessage) {
			delay := time.Duration(s.random.IntN(5)) * time.Second
			r.nack(m, delay, "why")
			s.model.nack(offset(m), delay)
		})
	case 8, 9:
		s.pass(time.Duration(s.random.IntN(3000)) * time.Millisecond)
	case 10:
		s.comeOrGo()
	case 11:
		if s.random.IntN(4) == 0 {
			s.restart()
		}
	}
}

// pass lets time pass from one deadline to the next: only then is it known who had a message last.
func (s *comparison) pass(d time.Duration) {
	for d > 0 {
		step := d
		if at, any := s.model.nextDeadline(); any {
			step = min(d, at.Sub(s.model.now))
		}
		time.Sleep(step)
		s.model.advance(step)
		s.compare()
		d -= step
	}
}

// each does something to one message that was ever delivered, acknowledged long ago or not.
func (s *comparison) each(do func(*reader, *danubepb.StreamMessage)) {
	if len(s.seen) == 0 || len(s.readers) == 0 {
		return
	}
	recent := s.seen[max(0, len(s.seen)-8):]
	do(s.readers[slices.Sorted(maps.Keys(s.readers))[0]], recent[s.random.IntN(len(recent))])
}

// comeOrGo opens a stream, takes one over, or closes one.
func (s *comparison) comeOrGo() {
	name := "c0"
	if s.kind == shared {
		name = fmt.Sprint("c", s.random.IntN(3))
	}
	if r := s.readers[name]; r != nil && s.random.IntN(2) == 0 {
		r.close()
		delete(s.readers, name)
		synctest.Wait() // the broker has noticed
		s.model.disconnect(name)
		return
	}
	s.connect(name)
}

// connect subscribes and opens the stream; a stream of the same name ends then.
func (s *comparison) connect(name string) {
	if s.readers[name] != nil {
		s.subscribe(orders, "s", name, s.kind)
		synctest.Wait() // the takeover ends the stream, before another one is opened
		s.model.disconnect(name)
		s.collect()
		s.readers[name].close()
	}
	s.readers[name] = s.consume(orders, "s", name, s.kind)
	s.model.connect(name)
}

func (s *comparison) restart() {
	s.broker.Restart(true)
	for _, r := range s.readers {
		r.close()
	}
	clear(s.readers)
	s.model.restart()
	require.NoError(s.t, settled(func() error {
		_, err := s.lookup(orders)
		return err
	}))
	s.sender = s.producer(orders, "p", reliable)
	s.connect("c0")
}

// compare waits until nothing moves any more and holds both against each other.
func (s *comparison) compare() {
	s.t.Helper()
	synctest.Wait()
	s.model.advance(0) // what is due without delay
	s.collect()
	stats, _ := s.broker.Subscription(orders, "s")
	require.Equal(s.t, len(s.model.inFlight), stats.Unacked, "in flight")
	require.Equal(s.t, len(s.model.inFlight)+int(s.model.head-s.model.next), stats.Backlog, "backlog")
	require.Equal(s.t, s.model.count(modelExhausted) > 0, stats.Blocked, "blocked")
	require.Len(s.t, stats.Connected, len(s.model.there))
}

// collect takes what the streams delivered since the last look, which must be what the model handed over.
func (s *comparison) collect() {
	s.t.Helper()
	var got []uint64
	for _, name := range slices.Sorted(maps.Keys(s.readers)) {
		for r := s.readers[name]; len(r.in) > 0; {
			m := <-r.in
			got = append(got, offset(m))
			s.seen = append(s.seen, m)
			if msg := s.model.inFlight[offset(m)]; msg != nil {
				msg.to = name
			}
		}
	}
	want := s.model.expected
	s.model.expected = nil
	if s.kind == shared { // who gets what is the broker's choice
		slices.Sort(got)
		slices.Sort(want)
	}
	require.Equal(s.t, want, got, "delivered")
}
