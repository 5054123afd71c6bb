package danube

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// maxWindow is the largest window that the broker stores.
const maxWindow = 10_000

// A SubscriptionInfo is a subscription of one topic or partition.
type SubscriptionInfo struct {
	Topic string // with partition suffix
	Name  string
}

// Subscriptions lists the subscriptions of a topic, partition by partition, in byte order of their names. [ErrNotFound] is a topic that does
// not exist.
func (a *Admin) Subscriptions(ctx context.Context, topic string) ([]SubscriptionInfo, error) {
	found, err := a.find(ctx, task{opListSubs, topic}, topic)
	if err != nil {
		return nil, err
	}
	conn, err := a.conn()
	if err != nil {
		return nil, err
	}
	list := []SubscriptionInfo{}
	for _, name := range found.Names() {
		names, err := task{opListSubs, name}.subscriptions(ctx, adminpb.NewTopicAdminClient(conn), name)
		if err != nil {
			return nil, err
		}
		for _, sub := range names {
			list = append(list, SubscriptionInfo{Topic: name, Name: sub})
		}
	}
	return list, nil
}

// subscriptions lists the subscriptions of one topic or partition. The broker repeats their names.
func (t task) subscriptions(ctx context.Context, api adminpb.TopicAdminClient, name string) ([]string, error) {
	resp, err := ask(ctx, t, api.ListSubscriptions, &adminpb.TopicRequest{Name: name})
	names := resp.GetSubscriptions()
	slices.Sort(names)
	return slices.Compact(names), err
}

// Unsubscribe removes a subscription from a topic and all its partitions: its position, what it has not read and, on the real broker, its
// failure policy. Consumers have to be closed before; the broker notices that late, so that up to two seconds are waited for it.
// [ErrActiveConsumers] is a consumer that is still there, or that subscribed and never received; [ErrNotFound] a topic or subscription
// that is not. A failure may leave some partitions without it: call it again.
func (a *Admin) Unsubscribe(ctx context.Context, topic, subscription string) error {
	t := task{opUnsubscribe, subscription + " from " + topic}
	found, err := a.find(ctx, t, topic)
	if err != nil {
		return err
	}
	missing := true
	err = a.eachOf(ctx, found, func(name string, owner adminpb.TopicAdminClient) error {
		t := task{opUnsubscribe, subscription + " from " + name}
		// The broker speaks of active consumers also where there is no such subscription.
		names, err := t.subscriptions(ctx, owner, name)
		if err != nil || !slices.Contains(names, subscription) {
			return err
		}
		missing = false
		return patiently(ctx, ErrActiveConsumers, func() error {
			_, err := ask(ctx, t, owner.Unsubscribe, &adminpb.SubscriptionRequest{Topic: name, Subscription: subscription})
			return err
		})
	})
	if err == nil && missing {
		return t.refuse(codes.NotFound, ErrNotFound, "there is no such subscription")
	}
	return err
}

// eachOf calls f for a topic or each of its partitions, with the admin API of the broker that has it. It ends at the first error.
func (a *Admin) eachOf(ctx context.Context, topic TopicInfo, f func(name string, owner adminpb.TopicAdminClient) error) error {
	// Who may administer a topic need not be allowed to list brokers; then it is looked for at the broker that the client was made for.
	brokers, _ := a.Brokers(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, name := range topic.Names() {
		owner, err := a.owner(brokers, topic.brokers[i])
		if err != nil {
			return err
		}
		if err := f(name, owner); err != nil {
			return err
		}
	}
	return nil
}

// eachReliable is eachOf for settings that only reliable topics have. The broker says that a topic is not reliable also when it does not exist
// or is not loaded yet, which a moment can mend.
func (a *Admin) eachReliable(ctx context.Context, t task, topic string, f func(task, adminpb.TopicAdminClient) error) error {
	found, err := a.find(ctx, t, topic)
	if err != nil {
		return err
	}
	if !found.Reliable {
		return t.refuse(codes.FailedPrecondition, ErrNotReliable, "it keeps no messages, so that there is nothing to acknowledge")
	}
	return a.eachOf(ctx, found, func(name string, owner adminpb.TopicAdminClient) error {
		return patiently(ctx, ErrNotReliable, func() error { return f(task{t.op, name}, owner) })
	})
}

// FailurePolicy reads the failure policy that is stored for a subscription, or that a living one has, and its type; the type of one that does
// not exist is Exclusive. [ErrNotFound] is a topic that is not there or a subscription of which the broker tells nothing. Partitions
// whose policies differ are an error.
func (a *Admin) FailurePolicy(ctx context.Context, topic, subscription string) (FailurePolicy, SubscriptionType, error) {
	type answer struct {
		policy FailurePolicy
		kind   SubscriptionType
	}
	var got same[answer]
	err := a.eachReliable(ctx, task{opGetPolicy, topic}, topic, func(t task, owner adminpb.TopicAdminClient) error {
		resp, err := ask(ctx, t, owner.GetSubscriptionFailurePolicy, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: t.what, Subscription: subscription})
		switch {
		case err != nil:
			return err
		case resp.GetFailurePolicy() == nil:
			return t.refuse(codes.NotFound, ErrNotFound, "subscription %s has no failure policy", subscription)
		case resp.GetSubscriptionType() < 0 || int(resp.GetSubscriptionType()) >= len(subscriptionTypes):
			return t.refuse(codes.Unknown, nil, "subscription %s is of the unknown type %d", subscription, resp.GetSubscriptionType())
		}
		return got.add(t, answer{policyFromWire(resp.GetFailurePolicy()), SubscriptionType(resp.GetSubscriptionType())})
	})
	return got.value.policy, got.value.kind, err
}

// SetFailurePolicy stores a failure policy, for all partitions of the topic that there are. The topic must exist, the subscription need not.
// On the real broker it counts only for subscriptions that are created afterwards: set it before the first Subscribe, and again after each
// [Admin.Unsubscribe]; a consumer name that joins a living subscription later writes the old policy back.
func (a *Admin) SetFailurePolicy(ctx context.Context, topic, subscription string, p FailurePolicy) error {
	t := task{opSetPolicy, topic}
	if err := p.check(); err != nil {
		return t.refuse(codes.InvalidArgument, nil, "%v", err)
	}
	return a.eachReliable(ctx, t, topic, func(t task, owner adminpb.TopicAdminClient) error {
		_, err := ask(ctx, t, owner.SetSubscriptionFailurePolicy, &adminpb.SetSubscriptionFailurePolicyRequest{
			Topic: t.what, Subscription: subscription, FailurePolicy: p.wire(),
		})
		return err
	})
}

// Window reads how many messages of a subscription may be unacknowledged at once, as [Admin.SetWindow] has stored it; 0 is never stored.
func (a *Admin) Window(ctx context.Context, topic, subscription string) (int, error) {
	var got same[int]
	err := a.eachReliable(ctx, task{opGetWindow, topic}, topic, func(t task, owner adminpb.TopicAdminClient) error {
		resp, err := ask(ctx, t, owner.GetSubscriptionDispatchConfig, &adminpb.GetSubscriptionDispatchConfigRequest{Topic: t.what, Subscription: subscription})
		if err != nil {
			return err
		}
		return got.add(t, int(resp.GetDispatchConfig().GetMaxUnackedMessages()))
	})
	return got.value, err
}

// SetWindow stores how many messages of a subscription may be unacknowledged at once, 1 to 10000. The real broker v0.15 stores it without any
// effect: its configuration file alone decides.
func (a *Admin) SetWindow(ctx context.Context, topic, subscription string, n int) error {
	t := task{opSetWindow, topic}
	if n < 1 || n > maxWindow {
		return t.refuse(codes.InvalidArgument, nil, "%d is not within 1 to %d", n, maxWindow)
	}
	return a.eachReliable(ctx, t, topic, func(t task, owner adminpb.TopicAdminClient) error {
		_, err := ask(ctx, t, owner.SetSubscriptionDispatchConfig, &adminpb.SetSubscriptionDispatchConfigRequest{
			Topic: t.what, Subscription: subscription, DispatchConfig: &adminpb.SubscriptionDispatchConfig{MaxUnackedMessages: uint32(n)},
		})
		return err
	})
}

// same is what partitions have in common.
type same[T comparable] struct {
	value T
	of    string // the partition that told it first
}

// add adds what the partition tells that t is about, and fails if it differs.
func (s *same[T]) add(t task, value T) error {
	if s.of != "" && s.value != value {
		return t.refuse(codes.FailedPrecondition, errDiffer, "%s has %+v and %s has %+v; set it again for the whole topic", s.of, s.value, t.what, value)
	}
	s.value, s.of = value, t.what
	return nil
}

var errDiffer = errors.New("partitions differ")
