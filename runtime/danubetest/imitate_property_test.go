package danubetest_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// The imitating broker is compared with worlds on DANUBETEST_SEEDS random runs, 150 by default. A seed that fails is run again by:
// go test ./danubetest -run 'TestTheImitatingBrokerDoesWhatTheModelSays/seed=N$'
//
// Where the tick and the queue wait together, the model follows both. Where the real broker's clock would never show two things at
// one instant, the generator does not either: no call comes at the time of a tick, and no wait is a whole number of ticks.
func TestTheImitatingBrokerDoesWhatTheModelSays(t *testing.T) {
	t.Parallel()
	for seed := range modelSeeds(t, 150) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			window := []int{1, 2, 3, 5, 10, 50}[random.IntN(6)]
			policy := imitatedPolicy(random)
			// Overlapping publishes may come in another order, which the model does not follow: either the trap is off or they do not overlap.
			overlap := random.IntN(2) == 0
			profile := danubetest.Imitate("v0.15")
			if overlap {
				profile = allTrapsBut("reorder", "metadata-limit")
			}
			bubble(t, func(t *testing.T, c *client) {
				s := newImitation(t, c, random, window, policy)
				s.overlap = overlap
				for range 60 {
					s.step()
					s.compare(all)
				}
			}, profile, danubetest.Seed(seed), danubetest.Window(window), danubetest.Policy(policy))
		})
	}
}

func allTrapsBut(names ...string) danubetest.Option {
	var all []string
	for _, trap := range danubetest.Traps() {
		if !slices.Contains(names, trap.Name) {
			all = append(all, trap.Name)
		}
	}
	return danubetest.Trap(all...)
}

func imitatedPolicy(random *rand.Rand) danubetest.FailurePolicy {
	ms := func(all ...int) time.Duration { return time.Duration(all[random.IntN(len(all))]) * time.Millisecond }
	return danubetest.FailurePolicy{
		MaxRedeliveries: []uint32{0, 1, 2, 3, 1000}[random.IntN(5)],
		AckTimeout:      ms(0, 737, 1337, 3119, 3_600_007),
		BaseDelay:       ms(0, 137, 713),
		MaxDelay:        ms(1901, 61_003),
		Fixed:           random.IntN(2) == 0,
		Poison:          []danubetest.PoisonPolicy{danubetest.Block, danubetest.Drop}[random.IntN(2)],
	}
}

// An imitation drives the imitating broker and the model side by side.
type imitation struct {
	*client
	t       *testing.T
	random  *rand.Rand
	worlds  []*world
	kind    danubepb.ConsumerRequest_SubscriptionType
	overlap bool // publishes may
	sender  *sender
	last    int // id of the last call
	pending map[int]*pendingCall
	ids     map[string]uint64 // of the consumers that are known
	streams map[int]*imitatedStream
	seen    []uint64 // offsets that were delivered
	trace   []string
}

type pendingCall struct {
	worldCall
	cancel context.CancelFunc
	ended  chan string
}

// An imitatedStream is read without end.
type imitatedStream struct {
	name   string
	cancel context.CancelFunc
	in     chan uint64
	ended  chan struct{}
}

func newImitation(t *testing.T, c *client, random *rand.Rand, window int, policy danubetest.FailurePolicy) *imitation {
	s := &imitation{
		client: c, t: t, random: random, sender: c.producer(orders, "p", reliable),
		pending: make(map[int]*pendingCall), ids: make(map[string]uint64), streams: make(map[int]*imitatedStream),
		kind: []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared, shared, failover}[random.IntN(4)],
	}
	s.worlds = []*world{{window: window, usual: policy, now: time.Now(), ended: make(map[int]string), gone: make(map[int]bool)}}
	s.say(s.kind, " window ", window, " ", policy)
	c.consume(orders, "other", "x", exclusive).close()
	synctest.Wait()
	for range []int{0, 0, 3}[random.IntN(3)] { // before the subscription
		s.publish()
	}
	s.subscribe("c0")
	return s
}

// step does one random thing.
func (s *imitation) step() {
	switch n := s.random.IntN(100); {
	case n < 28:
		for range 1 + s.random.IntN(4) {
			s.publish()
		}
	case n < 29:
		for range 200 + s.random.IntN(200) {
			s.publish()
		}
	case n < 52:
		for range 1 + s.random.IntN(4) {
			s.settle("ack", 0)
		}
	case n < 56: // more than the queue holds
		for range 20 + s.random.IntN(20) {
			s.settle("ack", 0)
		}
	case n < 62:
		s.settle("nack", []time.Duration{0, 331, 2477}[s.random.IntN(3)]*time.Millisecond)
	case n < 77:
		s.pass(time.Duration(s.random.IntN(3000))*time.Millisecond + time.Duration(1+s.random.IntN(1_000_000)))
	case n < 90:
		s.comeOrGo()
	case n < 92:
		s.storeAnother()
	case n < 94:
		s.unsubscribe()
	default:
		s.ask()
	}
}

// ask makes a call that changes nothing, or ends the wait of one.
func (s *imitation) ask() {
	if waiting := slices.Sorted(maps.Keys(s.pending)); len(waiting) > 0 && s.random.IntN(2) == 0 {
		s.giveUp(waiting[s.random.IntN(len(waiting))])
		return
	}
	id, known := s.ids["c0"]
	if !known || s.random.IntN(2) == 0 {
		s.launch(worldCall{what: "other"}, func(ctx context.Context) (string, error) {
			_, err := s.Ack(ctx, &danubepb.AckRequest{MsgId: &danubepb.MsgID{TopicName: orders}, SubscriptionName: "other"})
			return ok, err
		})
		return
	}
	s.launch(worldCall{what: "health", name: "c0"}, func(ctx context.Context) (string, error) {
		resp, err := s.HealthCheck(ctx, &danubepb.HealthCheckRequest{Client: danubepb.HealthCheckRequest_Consumer, Id: id})
		return resp.GetStatus().String(), err
	})
}

// launch makes a call and compares what has come of it as soon as nothing moves any more, whether it has returned or not.
func (s *imitation) launch(c worldCall, do func(context.Context) (string, error)) {
	s.last++
	c.id = s.last
	s.say(c)
	ctx, cancel := context.WithCancel(s.ctx)
	call := &pendingCall{worldCall: c, cancel: cancel, ended: make(chan string, 1)}
	s.pending[c.id] = call
	go func() {
		how, err := do(ctx)
		if err != nil {
			how = status.Code(err).String()
		}
		call.ended <- how
	}()
	for _, w := range s.worlds {
		w.arrive(c)
	}
	s.compare(most)
}

func (s *imitation) giveUp(id int) {
	call := s.pending[id]
	if call.what == "subscribe" && s.ids[call.name] == 0 {
		return // it is not known whether the broker keeps a name that has not joined
	}
	s.say("give up", id)
	call.cancel()
	<-call.ended
	delete(s.pending, id)
	delete(s.streams, id)
	for _, w := range s.worlds {
		w.giveUp(id)
	}
	s.compare(most)
}

// pass lets time pass from tick to tick.
func (s *imitation) pass(d time.Duration) {
	for d > 0 {
		step, ticks := d, false
		if sub := s.worlds[0].sub; sub != nil {
			if left := time.Until(sub.nextTick); left <= d {
				step, ticks = left, true
			}
		}
		s.say("pass", step)
		time.Sleep(step)
		for _, w := range s.worlds {
			w.now = w.now.Add(step)
			if ticks {
				w.sub.overdue, w.sub.nextTick = true, w.now.Add(worldTick)
			}
		}
		s.compare(all)
		if d -= step; d == 0 && ticks {
			d = time.Microsecond
		}
	}
}

func (s *imitation) say(what ...any) { s.trace = append(s.trace, fmt.Sprint(what...)) }
