package danubetest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// traps is a set of behaviours of the real broker that the friendly one does not have.
type traps uint64

// One bit per trap, in the order of the registry.
const (
	trapWindow traps = 1 << iota
	trapRing
	trapFreeze
	trapQueue
	trapHandOver
	trapTicks
	trapBlock
	trapPolicy
	trapSecondStream
	trapSeat
	trapFailover
	trapBestEffort
	trapNames
	trapLateTopic
	trapResets
	trapKeyEvict
	trapKeyDrain
	trapKeyFreeze
	trapFlushLoss
	trapOffsetsRestart
	trapTwoLives
	trapResumedBacklog
	trapOverlapKill
	trapReorder
	trapGauges
	trapMetadataLimit
)

// The traps that need the real broker's dispatcher, on every subscription or on those of one kind.
const (
	modelled    = trapGauges | trapOffsetsRestart | trapReorder | trapRing | trapQueue | trapHandOver | trapTicks | trapSecondStream
	modelledOne = trapFreeze
	modelledKey = trapKeyEvict | trapKeyDrain | trapKeyFreeze
)

// model says whether a reliable subscription of a type gets the real broker's dispatcher.
func (t traps) model(kind danubepb.ConsumerRequest_SubscriptionType) bool {
	if kind == keyShared {
		return t.has(modelled | modelledKey)
	}
	return t.has(modelled | modelledOne)
}

// A TrapInfo describes one behaviour of the real broker that surprises its clients.
type TrapInfo struct {
	Name    string   // what [Trap] takes
	Summary string   // what happens, in one sentence
	Needs   []string // other traps that are switched on with it
}

// entry is a trap in the registry.
type entry struct {
	bit     traps
	name    string
	needs   traps
	alone   bool // not part of a profile
	summary string
}

var allTraps = []entry{
	{bit: trapWindow, name: "window", summary: "the window of unacknowledged messages is the broker's alone: " +
		"a subscription's own dispatch config is stored, returned and without effect"},
	{bit: trapRing, name: "ring", summary: "a subscription keeps the newest 256 unread messages and drops older ones without a sign"},
	{bit: trapFreeze, name: "freeze", summary: "acknowledging the newest message before an older one stops the subscription until the next publish"},
	{bit: trapQueue, name: "queue", needs: trapFreeze, summary: "a dispatcher has 32 places for commands (Key-Shared 128); " +
		"publishers and acknowledgements wait when they are full, and a waiting Ack holds up the whole topic"},
	{bit: trapHandOver, name: "hand-over", needs: trapQueue | trapFreeze, summary: "a consumer that does not read stops its whole subscription once its four places are full"},
	{bit: trapTicks, name: "ticks", summary: "ack timeouts and redeliveries happen only every 500 ms"},
	{bit: trapBlock, name: "block", summary: "a new failure policy does not reach a living subscription, so one that is blocked stays so"},
	{bit: trapPolicy, name: "policy", needs: trapBlock, summary: "a consumer name that joins writes the living failure policy over the stored one, " +
		"and Unsubscribe deletes it"},
	{bit: trapSecondStream, name: "second-stream", summary: "a second ReceiveMessages of a consumer takes over without what is in flight"},
	{bit: trapSeat, name: "seat", summary: "the seat of an Exclusive subscription stays with the name of a consumer that is gone"},
	{bit: trapFailover, name: "failover", summary: "a Failover subscription serves its first consumer only: nobody takes over"},
	{bit: trapKeyEvict, name: "key-evict", summary: "a Key-Shared consumer that is absent for three seconds loses what it had in flight, " +
		"and its name gets nothing ever after"},
	{bit: trapKeyDrain, name: "key-drain", summary: "a Key-Shared subscription reads one message per publish or tick: a backlog drains at 2 a second"},
	{bit: trapKeyFreeze, name: "key-freeze", needs: trapQueue | trapFreeze, summary: "a Key-Shared subscription with anything unacknowledged " +
		"stands still until the next publish"},
	{bit: trapBestEffort, name: "best-effort", summary: "a non-reliable topic drops what exceeds the four places of a consumer, " +
		"and deletes a subscription without consumers after a minute"},
	{bit: trapFlushLoss, name: "flush-loss", needs: trapOffsetsRestart, summary: "what was acknowledged in the last five seconds " +
		"is gone after a restart, and so are up to ten seconds of acknowledgements"},
	{bit: trapOffsetsRestart, name: "offsets-restart", summary: "offsets begin at 0 after a restart, and a subscription gets nothing new " +
		"up to where it stood before"},
	{bit: trapTwoLives, name: "two-lives", needs: trapOffsetsRestart, summary: "after a second restart a subscription can get messages of an earlier life, " +
		"older than itself"},
	{bit: trapResumedBacklog, name: "resumed-backlog", needs: trapOffsetsRestart, summary: "a subscription that lived through a restart dies " +
		"for good of more than 1281 unread messages"},
	{bit: trapOverlapKill, name: "overlap-kill", needs: trapOffsetsRestart, summary: "a subscription that lived through a restart dies " +
		"for good after some overlapping publishes"},
	{bit: trapReorder, name: "reorder", summary: "of overlapping publishes two neighbours now and then arrive in the wrong order"},
	{bit: trapNames, name: "names", summary: "a topic cannot be created when its name is the beginning of another one's, " +
		"and lookups of missing names find such topics"},
	{bit: trapLateTopic, name: "late-topic", summary: "CreateProducer for a new topic answers UNAVAILABLE until the topic is ready a moment later"},
	{bit: trapResets, name: "resets", summary: "calls without a message id and expired deadlines end with CANCELLED"},
	{bit: trapGauges, name: "gauges", summary: "the lag gauge is 0 before the first acknowledgement, stale while the dispatcher waits " +
		"and never down after a loss"},
	{bit: trapMetadataLimit, name: "metadata-limit", needs: trapOffsetsRestart, alone: true, summary: "the broker does not start again once its metadata log has " +
		"1000 entries, after about an hour; only by name"},
}

// overlapping are the traps that look at publishes that overlap.
const overlapping = trapReorder | trapOverlapKill

// trickling are the traps under which a stream takes one message at a time.
const trickling = trapHandOver | trapBestEffort

// Traps lists the behaviours that [Trap] switches on, in the order in which [Imitate] describes the real broker.
func Traps() []TrapInfo {
	infos := make([]TrapInfo, len(allTraps))
	for i, e := range allTraps {
		infos[i] = TrapInfo{Name: e.name, Summary: e.summary, Needs: e.needs.names()}
	}
	return infos
}

// names lists the set in the order of the registry.
func (t traps) names() []string {
	var names []string
	for _, e := range allTraps {
		if t.has(e.bit) {
			names = append(names, e.name)
		}
	}
	return names
}

// has says whether any of these is on.
func (t traps) has(any traps) bool { return t&any != 0 }

// Imitate makes the broker as treacherous as a version of the real one, "v0.15" or "v0.14": it switches on every trap of [Traps] but
// those that only go by name. v0.14 has in addition a window of one message, which a later [Window] overrides.
func Imitate(version string) Option {
	return func(s *settings) error {
		switch version {
		case "v0.15":
		case "v0.14":
			s.window = 1
		default:
			return fmt.Errorf("there is no profile for %q; use v0.15 or v0.14", version)
		}
		for _, e := range allTraps {
			if !e.alone {
				s.traps |= e.bit
			}
		}
		return nil
	}
}

// Trap switches single behaviours of the real broker on, by the names of [Traps], and what they need.
func Trap(names ...string) Option {
	return func(s *settings) error {
		for _, name := range names {
			i := slices.IndexFunc(allTraps, func(e entry) bool { return e.name == name })
			if i < 0 {
				return fmt.Errorf("there is no trap %q; there are %s", name, strings.Join(traps(^uint64(0)).names(), ", "))
			}
			s.traps |= allTraps[i].bit | allTraps[i].needs
		}
		return nil
	}
}

// Seed sets where the randomness of traps begins: the same seed and the same order of events give the same outcome. Default 1.
func Seed(n uint64) Option {
	return func(s *settings) error {
		s.seed = n
		return nil
	}
}

// OverlapKill sets how many overlapping publishes end a subscription that lived through a restart, under the trap overlap-kill: 1 for
// the strictest test. Without it the number is random within 100 to 5000.
func OverlapKill(n int) Option {
	return func(s *settings) error {
		if n < 1 {
			return fmt.Errorf("overlapping publishes: %d is not positive", n)
		}
		s.overlaps = n
		return nil
	}
}

// random is a source of its own for each thing that is named, so that what happens elsewhere does not change its outcome.
func (s settings) random(names ...string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.Join(names, "\x00"))) // a hash does not fail
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}
