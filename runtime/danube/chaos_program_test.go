package danube_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A program is what a seed decides.
type program struct {
	seed       uint64
	random     *rand.Rand // of faults
	imitate    bool
	partitions int
	window     int
	policy     danubetest.FailurePolicy
	plans      []producerPlan
	subs       []*subPlan
	faults     int
	pace       time.Duration // at most between two faults
	lostAcks   bool          // acknowledgements were lost
}

type producerPlan struct {
	settings danube.ProducerSettings
	senders  int // goroutines
	messages int // of each sender
	keys     int // of each sender; 0 is messages without key
	async    int // of ten messages, how many do not wait
	deadline []time.Duration
	size     int // of the largest payload
	pause    time.Duration
}

type subPlan struct {
	settings  danube.ConsumerSettings // without name
	consumers int
	nacks     int           // of ten messages
	pause     time.Duration // a reader's longest
	repeats   bool          // the broker may deliver again what was acknowledged
}

// A senderPlan is one goroutine of a producer.
type senderPlan struct {
	producerPlan
	name string // unique
}

func (p producerPlan) sender(name string) senderPlan {
	return senderPlan{producerPlan: p, name: p.settings.Name + "." + name}
}

func oneOf[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func newProgram(seed uint64, imitate bool) *program {
	p := &program{seed: seed, imitate: imitate}
	r := p.source("")
	p.random = r
	p.partitions = oneOf(r, 0, 0, 0, 1, 2, 4)
	p.window = oneOf(r, 10, 10, 1, 2, 1+r.IntN(100))
	p.faults, p.pace = 4+r.IntN(20), oneOf(r, 100*time.Millisecond, time.Second, 4*time.Second)
	p.policy = danubetest.FailurePolicy{
		MaxRedeliveries: math.MaxUint32, AckTimeout: oneOf(r, time.Hour, time.Hour, time.Hour, 3*time.Second), BaseDelay: oneOf(r, 0, 100*time.Millisecond, time.Second),
		MaxDelay: time.Minute, Fixed: r.IntN(2) == 0,
	}
	producers, subs := 1+r.IntN(3), 1+r.IntN(2)
	if imitate { // publishes of several producers would overlap
		producers = 1
	}
	for i := range producers {
		p.plans = append(p.plans, p.planProducer(fmt.Sprint("p", i)))
	}
	for i := range subs {
		p.subs = append(p.subs, p.planSub(fmt.Sprint("s", i)))
	}
	return p
}

func (p *program) planProducer(name string) producerPlan {
	r := p.random
	plan := producerPlan{
		settings: danube.ProducerSettings{
			Topic: topic, Name: name, Partitions: p.partitions, Reliable: true,
			InFlight: oneOf(r, 1, 1, 2, 8, 64), MaxBytes: oneOf[int64](r, 0, 0, 4000, 1),
		},
		senders: 1 + r.IntN(3), messages: 5 + r.IntN(40), keys: oneOf(r, 0, 1, 2, 5), async: oneOf(r, 0, 5, 10),
		deadline: oneOf(r, []time.Duration{time.Hour}, []time.Duration{time.Millisecond, 50 * time.Millisecond, 2 * time.Second, time.Hour}),
		size:     oneOf(r, 0, 100, 1000), pause: oneOf(r, time.Millisecond, 100*time.Millisecond, time.Second),
	}
	if p.imitate { // at most 256 unread are kept, copies included
		plan.settings.InFlight, plan.senders, plan.messages = 1, 1+r.IntN(2), 5+r.IntN(30)
	}
	return plan
}

func (p *program) planSub(name string) *subPlan {
	r := p.random
	plan := &subPlan{
		settings: danube.ConsumerSettings{
			Topic: topic, Subscription: name, CreateTopic: p.partitions == 0, MaxBytes: oneOf[int64](r, 0, 0, 1, 3000, 10000),
			Type: oneOf(r, danube.Exclusive, danube.Exclusive, danube.Shared, danube.Failover, danube.KeyShared),
		},
		consumers: 1, nacks: oneOf(r, 0, 0, 1, 5), pause: oneOf(r, time.Millisecond, 100*time.Millisecond, 2*time.Second),
	}
	switch {
	case p.imitate: // Key-Shared loses what was on its way to a consumer that goes away
		plan.settings.Type = oneOf(r, danube.Exclusive, danube.Shared, danube.Failover)
	case plan.settings.Type != danube.Exclusive:
		plan.consumers = 1 + r.IntN(3)
	}
	plan.repeats = plan.consumers > 1 || p.policy.AckTimeout < time.Hour
	return plan
}

func (p *program) options() []danubetest.Option {
	options := []danubetest.Option{danubetest.Window(p.window), danubetest.Policy(p.policy), danubetest.History(1 << 20), danubetest.Seed(p.seed)}
	if p.imitate {
		options = append(options, danubetest.Imitate("v0.15"))
	}
	return options
}

// topics are the broker's names.
func (p *program) topics() []string {
	if p.partitions == 0 {
		return []string{topic}
	}
	var names []string
	for i := range p.partitions {
		names = append(names, danube.PartitionName(topic, i))
	}
	return names
}

// inOrder tells whether a subscription delivers every partition in order.
func (p *program) inOrder(s *subPlan) bool {
	return s.consumers == 1 && s.settings.Type != danube.KeyShared && !(p.imitate && s.settings.Type == danube.Shared)
}

func (p *program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "partitions %d, window %d, %+v, %d faults within %v each", p.partitions, p.window, p.policy, p.faults, p.pace)
	for _, plan := range p.plans {
		fmt.Fprintf(&b, "\n%+v", plan)
	}
	for _, plan := range p.subs {
		fmt.Fprintf(&b, "\n%+v", *plan)
	}
	return b.String()
}
