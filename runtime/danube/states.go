package danube

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A State is what a partition's subscription is in, as far as a client can know.
//
// The real broker has many ways of standing still that all look healthy: the stream is open, acknowledgements and health checks are
// answered, nothing comes. A consumer tells them apart by what it sees ([Consumer.States]) and says [StateStalled] where that does not
// decide. What it can mend without losing a message it mends; the rest has a price that only the caller can pay.
type State int

// The states. Of those from StateFrozen on [State.Stands] is true.
const (
	// StateStarting: no stream was open yet. The topic is missing, the broker cannot be reached, or Subscribe is under way.
	StateStarting State = iota
	// StateOpen: the stream is open and nothing speaks against it. So is that of an idle, a slow and a standby consumer.
	StateOpen
	// StateLost: the stream ended and is being opened again.
	StateLost
	// StatePaused: closed by [Consumer.Pause].
	StatePaused
	// StateRefused: the broker refused for good; Receive returns the error.
	StateRefused
	// StateEvicted: a Key-Shared consumer was away for longer than the broker keeps its place. It comes back under another name.
	StateEvicted
	// StateFrozen: the broker waits for the next publish on the topic before it handles anything, acknowledgements included.
	StateFrozen
	// StateBlocked: the poison policy Block has stopped the subscription because of a message that was delivered too often.
	StateBlocked
	// StateDead: the broker's reader of a subscription that it resumed after a restart has ended. Nothing comes any more.
	StateDead
	// StateBehind: after a restart of the broker the offsets began at 0 again, and the subscription gets nothing new up to where it stood.
	StateBehind
	// StateDeadlocked: the broker waits for a stream that is gone, and that stream's end for the broker. Publishes and Subscribe hang.
	StateDeadlocked
	// StateStalled: nothing goes on, and what can be seen has more than one explanation. The cause lists them.
	StateStalled
)

var stateNames = []string{
	StateStarting: "starting", StateOpen: "open", StateLost: "lost", StatePaused: "paused", StateRefused: "refused", StateEvicted: "evicted",
	StateFrozen: "frozen", StateBlocked: "blocked", StateDead: "dead", StateBehind: "behind", StateDeadlocked: "deadlocked", StateStalled: "stalled",
}

// String gives the name, such as "frozen".
func (s State) String() string { return stateNames[s] }

// MarshalText gives the name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the names.
func (s *State) UnmarshalText(text []byte) error {
	i := slices.Index(stateNames, string(text))
	if i < 0 {
		return fmt.Errorf("%q is not a state; there are %s", text, strings.Join(stateNames, ", "))
	}
	*s = State(i)
	return nil
}

// Stands tells whether the subscription stands still in a way that this client cannot mend.
func (s State) Stands() bool { return s >= StateFrozen }

// A SubscriptionState is the state of one partition of a consumer's subscription.
type SubscriptionState struct {
	Topic     string    // without partition suffix
	Partition int       // -1 on a plain topic
	State     State     //
	Since     time.Time // when State was first seen
	Cause     string    // what was seen and what it means; empty when there is nothing to say
	Mend      string    // what ends it, and at what price; empty when nothing has to be done
	// Life is that of [Delivery]. When it grows, the broker has restarted or loaded the topic anew: offsets may begin again, and on the
	// real broker this subscription never gets the new messages up to where it stood before. A subscription under another name does.
	Life int
}

// States gives the state of each partition, in order, or one for the whole topic while its partitions are not known.
func (k *Consumer) States() []SubscriptionState {
	subs := k.subscriptions()
	if len(subs) == 0 {
		return []SubscriptionState{k.standing.get()}
	}
	states := make([]SubscriptionState, len(subs))
	for i, s := range subs {
		states[i] = s.standing.get()
	}
	return states
}

// Changed gives a token when [Consumer.States] may differ from what it was when the last token was taken. It is never closed. There is
// one token at most, so it is for one receiver, and whoever does not take it holds nothing up; what came and went unseen is not told, but
// for Life, which only grows.
func (k *Consumer) Changed() <-chan struct{} { return k.changed }

// A standing is the state of a partition, or of a consumer that has none yet.
type standing struct {
	mu  sync.Mutex
	now SubscriptionState
}

func (s *standing) get() SubscriptionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// set takes over a verdict and tells whether it is new.
func (s *standing) set(v verdict, life int, at time.Time) (before State, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.now.State
	if s.now.State == v.state && s.now.Cause == v.cause && s.now.Mend == v.mend && s.now.Life == life {
		return before, false
	}
	if before != v.state {
		s.now.Since = at
	}
	s.now.State, s.now.Cause, s.now.Mend, s.now.Life = v.state, v.cause, v.mend, life
	return before, true
}
