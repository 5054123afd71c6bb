package danubetest

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A subscription is one reader of a topic, shared by its consumers. Its topic's lock guards it.
type subscription struct {
	topic      *topic
	name       string
	kind       danubepb.ConsumerRequest_SubscriptionType
	consumers  []*consumer // in order of arrival, connected or not
	pick       picker      // whose turn it is, by the type
	dispatcher dispatcher
	policy     FailurePolicy // the living one
	batch      int           // how many messages a stream takes at once
	ticket     *ticket       // what the last call of the dispatcher has to wait for
	undecided  bool          // since a restart: the first consumer chooses the type
	lostAcks   int           // acknowledgements that are still to be lost, see Broker.LoseAcks

	delivered, redelivered, acked uint64
}

const (
	exclusive = danubepb.ConsumerRequest_Exclusive
	shared    = danubepb.ConsumerRequest_Shared
	failover  = danubepb.ConsumerRequest_Failover
	keyShared = danubepb.ConsumerRequest_KeyShared
)

// newSubscription makes a subscription that starts at the newest message.
func newSubscription(t *topic, name string, kind danubepb.ConsumerRequest_SubscriptionType) (*subscription, error) {
	s := &subscription{topic: t, name: name}
	if err := s.choose(kind); err != nil {
		return nil, err
	}
	s.start(position{next: t.head})
	return s, nil
}

// choose gives the subscription a type.
func (s *subscription) choose(kind danubepb.ConsumerRequest_SubscriptionType) error {
	usable := listening
	if s.topic.reliable {
		usable = reading
	}
	switch kind {
	case exclusive, failover:
		s.pick = &first{sub: s, usable: usable, only: s.topic.broker.settings.traps.firstOnly(kind)}
	case shared:
		s.pick = &roundRobin{sub: s, usable: usable}
	case keyShared:
		s.pick = newByKey(s, usable)
	default:
		return status.Errorf(codes.PermissionDenied, "unknown subscription type %d", kind)
	}
	s.kind = kind
	return nil
}

// start makes the dispatcher, which goes on at a position.
func (s *subscription) start(from position) {
	rules := s.topic.broker.settings.traps
	s.policy, s.batch = s.topic.policy(s.name), batchSize
	if rules.has(trickling) {
		s.batch = 1
	}
	switch {
	case !s.topic.reliable:
		s.dispatcher = newBestEffort(s, from)
	case rules.model(s.kind):
		s.dispatcher = newImitator(s, from)
	default:
		s.dispatcher = newReliable(s, from)
	}
}

// claim returns what the last call of the dispatcher has to wait for, nil if nothing.
func (s *subscription) claim() *ticket {
	tk := s.ticket
	s.ticket = nil
	if tk != nil && tk.finished {
		return nil
	}
	return tk
}

// restart forgets the consumers, the type and how often messages were delivered, and keeps the position.
func (s *subscription) restart() {
	from := s.dispatcher.position()
	s.close(errConnectionLost)
	s.start(from)
	s.undecided = true
}

// decide gives a subscription that lived through a restart the type that the first comer asks for.
func (s *subscription) decide(kind danubepb.ConsumerRequest_SubscriptionType) error {
	if s.undecided && kind != s.kind {
		if err := s.choose(kind); err != nil {
			return err
		}
		from := s.dispatcher.position()
		s.dispatcher.stop()
		s.start(from)
	}
	s.undecided = false
	return nil
}

// join adds the consumer that req names, or makes it connected again.
func (s *subscription) join(req *danubepb.ConsumerRequest, from *conn) (*consumer, error) {
	if err := s.decide(req.GetSubscriptionType()); err != nil {
		return nil, err
	}
	rules := s.topic.broker.settings.traps
	c := s.consumer(req.GetConsumerName())
	isNew := c == nil
	if isNew {
		if err := s.freeSeat(); err != nil {
			return nil, err
		}
		c = &consumer{id: newID(), name: req.GetConsumerName(), sub: s, filters: req.GetKeyFilters()}
		s.consumers = append(s.consumers, c)
		s.topic.broker.metadata.add(entriesOfConsumer)
	} else {
		c.leave(nil) // a takeover: the old stream ends with OK
	}
	c.pending, c.conn, c.unhealthy = true, from, false
	if !rules.has(trapHandOver) && !from.remember(c) {
		c.pending = false // the connection is gone already
	}
	if !isNew {
		s.dispatcher.lost(c)
		return c, nil
	}
	if rules.has(trapPolicy) && len(s.consumers) > 1 {
		s.topic.policies[s.name] = s.policy.wire()
	}
	if m, ok := s.dispatcher.(*imitator); ok {
		m.joined(c)
	}
	return c, nil
}

// freeSeat makes room for another name on an Exclusive subscription. A seat belongs to its consumer while that is connected.
func (s *subscription) freeSeat() error {
	if s.kind != exclusive {
		return nil
	}
	for _, c := range s.consumers {
		if c.connected() || s.topic.broker.settings.traps.has(trapSeat) {
			return status.Errorf(codes.PermissionDenied,
				"Not able to subscribe: Exclusive subscription can't be shared, consumer %s has the seat on %s", c.name, s.name)
		}
	}
	for _, c := range s.consumers {
		s.drop(c, nil)
	}
	s.consumers = nil
	return nil
}

// drop ends a consumer for good; the caller takes it out of s.consumers.
func (s *subscription) drop(c *consumer, err error) {
	c.lose(err)
	c.removed = true
	s.topic.broker.ids.removeConsumer(c.id)
}

func (s *subscription) consumer(name string) *consumer {
	for _, c := range s.consumers {
		if c.name == name {
			return c
		}
	}
	return nil
}

// close ends the subscription; its streams end with err.
func (s *subscription) close(err error) {
	s.dispatcher.stop()
	for _, c := range s.consumers {
		c.end(err)
		c.conn.forget(c)
		c.removed = true
		s.topic.broker.ids.removeConsumer(c.id)
	}
	s.consumers = nil
}

// unsubscribable says why an admin may not remove the subscription now.
func (s *subscription) unsubscribable() error {
	for _, c := range s.consumers {
		if c.connected() {
			return fmt.Errorf("subscription %s has active consumers: %s", s.name, c.name)
		}
	}
	return nil
}
