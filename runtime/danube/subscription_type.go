package danube

import (
	"fmt"
	"strings"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A SubscriptionType decides how the broker shares a topic's messages among the consumers of one subscription. The zero value is
// Exclusive.
type SubscriptionType int

// The subscription types. On the real broker Failover never fails over and KeyShared loses messages of consumers that go away.
const (
	Exclusive SubscriptionType = iota
	Shared
	Failover
	KeyShared
)

var subscriptionTypes = []string{Exclusive: "Exclusive", Shared: "Shared", Failover: "Failover", KeyShared: "KeyShared"}

// String gives the name that configuration files use.
func (t SubscriptionType) String() string { return subscriptionTypes[t] }

// MarshalText gives the name that configuration files use.
func (t SubscriptionType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText takes the names in any case, also those with an underscore (Key_Shared).
func (t *SubscriptionType) UnmarshalText(text []byte) error {
	want := strings.ReplaceAll(string(text), "_", "")
	for i, name := range subscriptionTypes {
		if strings.EqualFold(want, name) {
			*t = SubscriptionType(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a subscription type; write one of %s", text, strings.Join(subscriptionTypes, ", "))
}

// wire is the type's number in the protocol, which is the same.
func (t SubscriptionType) wire() pb.ConsumerRequest_SubscriptionType {
	return pb.ConsumerRequest_SubscriptionType(t)
}
