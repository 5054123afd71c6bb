package danube

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// A FailurePolicy says what the broker does with messages that a subscription does not acknowledge.
type FailurePolicy struct {
	// MaxRedeliveries is how often a message comes again; reopened streams count, too.
	MaxRedeliveries uint32
	// AckTimeout is how long a message may stay unacknowledged on an open stream before it comes again, in whole milliseconds, at least one.
	AckTimeout time.Duration
	// BaseDelay is the wait before the first redelivery, and before each if Fixed; else it doubles up to MaxDelay. Whole milliseconds.
	BaseDelay, MaxDelay time.Duration
	Fixed               bool
	Poison              PoisonPolicy
	DeadLetterTopic     string // for PoisonDeadLetter
}

// check finds what the broker takes for something else, or not at all.
func (p FailurePolicy) check() error {
	switch {
	case p.AckTimeout < time.Millisecond:
		return fmt.Errorf("an ack timeout of %v would mean one every 500 ms; write at least 1ms, for never a long one such as 1h", p.AckTimeout)
	case p.BaseDelay < 0 || p.MaxDelay < 0:
		return fmt.Errorf("a redelivery delay of %v is negative", min(p.BaseDelay, p.MaxDelay))
	case p.Poison < PoisonBlock || p.Poison > PoisonDeadLetter:
		return fmt.Errorf("%d is not a poison policy", p.Poison)
	case p.Poison == PoisonDeadLetter && p.DeadLetterTopic == "":
		return fmt.Errorf("the poison policy %v needs a dead-letter topic", p.Poison)
	}
	return nil
}

// A PoisonPolicy says what becomes of a message that was delivered too often. The zero value is PoisonBlock.
type PoisonPolicy int

// The poison policies.
const (
	PoisonBlock      PoisonPolicy = iota // nothing is delivered any more; on the real broker only Unsubscribe ends that
	PoisonDrop                           // the message is skipped
	PoisonDeadLetter                     // the message is published to the dead-letter topic, then skipped
)

var poisonPolicies = []string{PoisonBlock: "Block", PoisonDrop: "Drop", PoisonDeadLetter: "DeadLetter"}

// String gives the name that configuration files use.
func (p PoisonPolicy) String() string { return poisonPolicies[p] }

// MarshalText gives the name that configuration files use.
func (p PoisonPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes the names in any case, also those with an underscore (dead_letter).
func (p *PoisonPolicy) UnmarshalText(text []byte) error {
	want := strings.ReplaceAll(string(text), "_", "")
	for i, name := range poisonPolicies {
		if strings.EqualFold(want, name) {
			*p = PoisonPolicy(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a poison policy; write one of %s", text, strings.Join(poisonPolicies, ", "))
}

// poisonWire are the policies in the protocol, whose zero value is another one.
var poisonWire = []adminpb.SubscriptionPoisonPolicy{
	PoisonBlock: adminpb.SubscriptionPoisonPolicy_Block, PoisonDrop: adminpb.SubscriptionPoisonPolicy_Drop,
	PoisonDeadLetter: adminpb.SubscriptionPoisonPolicy_DeadLetter,
}

// wire is a policy that check has passed.
func (p FailurePolicy) wire() *adminpb.SubscriptionFailurePolicy {
	w := &adminpb.SubscriptionFailurePolicy{
		MaxRedeliveryCount:    p.MaxRedeliveries,
		AckTimeoutMs:          uint64(p.AckTimeout.Milliseconds()),
		BaseRedeliveryDelayMs: uint64(p.BaseDelay.Milliseconds()),
		MaxRedeliveryDelayMs:  uint64(p.MaxDelay.Milliseconds()),
		BackoffStrategy:       adminpb.SubscriptionBackoffStrategy_Exponential,
		PoisonPolicy:          poisonWire[p.Poison],
	}
	if p.Fixed {
		w.BackoffStrategy = adminpb.SubscriptionBackoffStrategy_Fixed
	}
	if p.DeadLetterTopic != "" {
		w.DeadLetterTopic = &p.DeadLetterTopic
	}
	return w
}

func policyFromWire(w *adminpb.SubscriptionFailurePolicy) FailurePolicy {
	p := FailurePolicy{
		MaxRedeliveries: w.GetMaxRedeliveryCount(),
		AckTimeout:      millis(w.GetAckTimeoutMs()),
		BaseDelay:       millis(w.GetBaseRedeliveryDelayMs()),
		MaxDelay:        millis(w.GetMaxRedeliveryDelayMs()),
		Fixed:           w.GetBackoffStrategy() == adminpb.SubscriptionBackoffStrategy_Fixed,
		DeadLetterTopic: w.GetDeadLetterTopic(),
	}
	for i, poison := range poisonWire {
		if poison == w.GetPoisonPolicy() {
			p.Poison = PoisonPolicy(i)
		}
	}
	return p
}

// millis reads milliseconds of the protocol; what does not fit becomes the longest time there is.
func millis(ms uint64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
}
