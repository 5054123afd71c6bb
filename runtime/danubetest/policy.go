package danubetest

import (
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// A FailurePolicy says what happens to a message that is nacked or not acknowledged in time.
type FailurePolicy struct {
	MaxRedeliveries uint32        // a nack or timeout after more deliveries than this exhausts the message
	AckTimeout      time.Duration // time from a delivery to the redelivery; 0 counts as 500 ms, as on the real broker
	BaseDelay       time.Duration // wait before the first redelivery, and before each if Fixed
	MaxDelay        time.Duration // longest wait, whatever a nack asks for
	Fixed           bool          // the wait stays BaseDelay; else it doubles with each delivery
	Poison          PoisonPolicy  // what happens to an exhausted message
	DeadLetterTopic string        // where DeadLetter publishes it
}

// A PoisonPolicy says what happens to a message that was delivered too often.
type PoisonPolicy int

// The poison policies.
const (
	Block      PoisonPolicy = iota // no new message is delivered; on Key-Shared none of the same key
	Drop                           // the message is skipped
	DeadLetter                     // the message is published to the dead-letter topic, then skipped
)

// String gives the policy as logs show it.
func (p PoisonPolicy) String() string {
	if p < Block || p > DeadLetter {
		return "unknown"
	}
	return [...]string{"block", "drop", "dead letter"}[p]
}

// minAckTimeout stands in for an ack timeout of 0, which on the real broker means "at every tick".
const minAckTimeout = 500 * time.Millisecond

// DefaultFailurePolicy is the policy of the real broker: 5 redeliveries, 30 s to acknowledge, waits of 1 s doubling up to 60 s,
// then Block.
func DefaultFailurePolicy() FailurePolicy {
	return FailurePolicy{
		MaxRedeliveries: 5,
		AckTimeout:      30 * time.Second,
		BaseDelay:       time.Second,
		MaxDelay:        60 * time.Second,
		Poison:          Block,
	}
}

func (p FailurePolicy) validate() error {
	switch {
	case p.Poison < Block || p.Poison > DeadLetter:
		return errors.New("unknown poison policy")
	case p.Poison == DeadLetter && p.DeadLetterTopic == "":
		return errors.New("dead_letter_topic is required when the poison policy is DeadLetter")
	case p.AckTimeout < 0 || p.BaseDelay < 0 || p.MaxDelay < 0:
		return errors.New("times must not be negative")
	}
	return nil
}

// delay is the wait before the next delivery of a message that was delivered count times; asked is what a nack asked for.
func (p FailurePolicy) delay(count uint32, asked time.Duration) time.Duration {
	d := p.BaseDelay
	if !p.Fixed {
		for i := uint32(1); i < count && d < p.MaxDelay && d > 0; i++ {
			d *= 2 // ends at MaxDelay, so it cannot overflow by more than one doubling
			if d < 0 {
				d = p.MaxDelay
			}
		}
	}
	return min(p.MaxDelay, max(d, asked))
}

func (p FailurePolicy) ackTimeout() time.Duration {
	if p.AckTimeout == 0 {
		return minAckTimeout
	}
	return p.AckTimeout
}

// millis turns milliseconds of the wire into a Duration; what does not fit becomes the longest one.
func millis(ms uint64) time.Duration {
	if ms > math.MaxInt64/uint64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// policyFromWire reads a policy that validateWirePolicy accepted.
func policyFromWire(w *adminpb.SubscriptionFailurePolicy) FailurePolicy {
	p := FailurePolicy{
		MaxRedeliveries: w.GetMaxRedeliveryCount(),
		AckTimeout:      millis(w.GetAckTimeoutMs()),
		BaseDelay:       millis(w.GetBaseRedeliveryDelayMs()),
		MaxDelay:        millis(w.GetMaxRedeliveryDelayMs()),
		Fixed:           w.GetBackoffStrategy() == adminpb.SubscriptionBackoffStrategy_Fixed,
		DeadLetterTopic: w.GetDeadLetterTopic(),
	}
	switch w.GetPoisonPolicy() {
	case adminpb.SubscriptionPoisonPolicy_Drop:
		p.Poison = Drop
	case adminpb.SubscriptionPoisonPolicy_DeadLetter:
		p.Poison = DeadLetter
	default:
		p.Poison = Block
	}
	return p
}

func (p FailurePolicy) wire() *adminpb.SubscriptionFailurePolicy {
	w := &adminpb.SubscriptionFailurePolicy{
		MaxRedeliveryCount:    p.MaxRedeliveries,
		AckTimeoutMs:          uint64(p.AckTimeout / time.Millisecond),
		BaseRedeliveryDelayMs: uint64(p.BaseDelay / time.Millisecond),
		MaxRedeliveryDelayMs:  uint64(p.MaxDelay / time.Millisecond),
		BackoffStrategy:       adminpb.SubscriptionBackoffStrategy_Exponential,
		PoisonPolicy: map[PoisonPolicy]adminpb.SubscriptionPoisonPolicy{
			Block:      adminpb.SubscriptionPoisonPolicy_Block,
			Drop:       adminpb.SubscriptionPoisonPolicy_Drop,
			DeadLetter: adminpb.SubscriptionPoisonPolicy_DeadLetter,
		}[p.Poison],
	}
	if p.Fixed {
		w.BackoffStrategy = adminpb.SubscriptionBackoffStrategy_Fixed
	}
	if p.DeadLetterTopic != "" {
		w.DeadLetterTopic = proto.String(p.DeadLetterTopic)
	}
	return w
}

// validateWirePolicy finds what the real broker refuses with INVALID_ARGUMENT.
func validateWirePolicy(w *adminpb.SubscriptionFailurePolicy) error {
	if w == nil {
		return errors.New("failure_policy is required")
	}
	if _, ok := adminpb.SubscriptionBackoffStrategy_name[int32(w.GetBackoffStrategy())]; !ok {
		return errors.New("unknown backoff_strategy")
	}
	if _, ok := adminpb.SubscriptionPoisonPolicy_name[int32(w.GetPoisonPolicy())]; !ok {
		return errors.New("unknown poison_policy")
	}
	return policyFromWire(w).validate()
}
