package danubetest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// brokerID is the id of the only broker there is.
const brokerID = "1"

// topicAdmin answers the administration of topics and subscriptions. As on the real broker nearly every failure is NOT_FOUND with
// the cause in its text.
type topicAdmin struct {
	adminpb.UnimplementedTopicAdminServer
	broker *Broker
}

func notFound(err error) error { return status.Error(codes.NotFound, status.Convert(err).Message()) }

// delivery is the topic's dispatch strategy as the API spells it.
func (t *topic) delivery() string {
	if t.reliable {
		return "Reliable"
	}
	return "NonReliable"
}

func (a topicAdmin) ListNamespaceTopics(_ context.Context, req *adminpb.NamespaceRequest) (*adminpb.TopicInfoListResponse, error) {
	resp := &adminpb.TopicInfoListResponse{}
	for _, t := range a.broker.allTopics() {
		if namespaceOf(t.name) == strings.Trim(req.GetName(), "/") {
			resp.Topics = append(resp.Topics, &adminpb.TopicInfo{Name: t.name, BrokerId: brokerID, Delivery: t.delivery()})
		}
	}
	return resp, nil
}

func (a topicAdmin) CreateTopic(_ context.Context, req *adminpb.NewTopicRequest) (*adminpb.TopicResponse, error) {
	if err := a.create([]string{req.GetName()}, req.GetDispatchStrategy(), req.GetSchemaSubject()); err != nil {
		return nil, err
	}
	return &adminpb.TopicResponse{Success: true}, nil
}

func (a topicAdmin) CreatePartitionedTopic(_ context.Context, req *adminpb.PartitionedTopicRequest) (*adminpb.TopicResponse, error) {
	if req.GetPartitions() > maxPartitions {
		return nil, status.Errorf(codes.InvalidArgument, "%d partitions are more than the %d that this broker makes at once",
			req.GetPartitions(), maxPartitions)
	}
	names := make([]string, req.GetPartitions())
	for i := range names {
		names[i] = partitionName(req.GetBaseName(), i)
	}
	if err := a.create(names, req.GetDispatchStrategy(), req.GetSchemaSubject()); err != nil {
		return nil, err
	}
	return &adminpb.TopicResponse{Success: true}, nil
}

// create makes topics and stops at the first error.
func (a topicAdmin) create(names []string, strategy adminpb.DispatchStrategy, subject string) error {
	if _, known := adminpb.DispatchStrategy_name[int32(strategy)]; !known {
		return status.Error(codes.InvalidArgument, "Dispatch strategy is missing")
	}
	if subject != "" && !a.broker.schemas.known(subject) {
		return errUnknownSubject(codes.NotFound, subject)
	}
	for _, name := range names {
		t, err := a.broker.createTopic(name, strategy == adminpb.DispatchStrategy_Reliable)
		if err == nil {
			err = t.useSubject(subject, true)
		}
		if err != nil {
			return notFound(err)
		}
	}
	return nil
}

// DeleteTopic deletes the topic, or all partitions of a base name.
func (a topicAdmin) DeleteTopic(_ context.Context, req *adminpb.TopicRequest) (*adminpb.TopicResponse, error) {
	name := req.GetName()
	if base, ok := partitionBase(name); ok {
		return nil, status.Errorf(codes.NotFound, "%s is a partition; delete %s, which deletes all of them", name, base)
	}
	doomed := a.broker.partitions(name)
	if t := a.broker.topic(name); t != nil {
		doomed = append(doomed, t)
	}
	if len(doomed) == 0 {
		return nil, errNoTopic(name)
	}
	for _, t := range doomed {
		a.broker.deleteTopic(t)
	}
	return &adminpb.TopicResponse{Success: true}, nil
}

func (a topicAdmin) ListSubscriptions(_ context.Context, req *adminpb.TopicRequest) (*adminpb.SubscriptionListResponse, error) {
	return &adminpb.SubscriptionListResponse{Subscriptions: a.subscriptions(req.GetName())}, nil
}

// subscriptions lists the subscriptions of a topic, none if it does not exist.
func (a topicAdmin) subscriptions(name string) []string {
	t := a.broker.topic(name)
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.subs))
}

func (a topicAdmin) DescribeTopic(_ context.Context, req *adminpb.DescribeTopicRequest) (*adminpb.DescribeTopicResponse, error) {
	resp := &adminpb.DescribeTopicResponse{Name: req.GetName(), BrokerId: brokerID, Delivery: "NonReliable"}
	if t := a.broker.topic(req.GetName()); t != nil {
		resp.Delivery, resp.Subscriptions = t.delivery(), a.subscriptions(t.name)
		t.describeSchema(resp)
	}
	return resp, nil
}

func (a topicAdmin) Unsubscribe(ctx context.Context, req *adminpb.SubscriptionRequest) (*adminpb.SubscriptionResponse, error) {
	t := a.broker.topic(req.GetTopic())
	if t == nil {
		return nil, errNoTopic(req.GetTopic())
	}
	if err := t.unsubscribe(ctx, req.GetSubscription()); err != nil {
		return nil, notFound(err)
	}
	return &adminpb.SubscriptionResponse{Success: true}, nil
}

// reliableTopic finds the topic whose subscriptions are to be configured; what names the setting.
func (a topicAdmin) reliableTopic(name, what string) (*topic, error) {
	t := a.broker.topic(name)
	if t == nil || !t.reliable {
		return nil, status.Errorf(codes.FailedPrecondition, "subscription %s can only be configured for reliable topics", what)
	}
	return t, nil
}

// SetSubscriptionFailurePolicy stores the policy and applies it to the subscription at once, also to one that is blocked.
func (a topicAdmin) SetSubscriptionFailurePolicy(_ context.Context, req *adminpb.SetSubscriptionFailurePolicyRequest) (*adminpb.SubscriptionResponse, error) {
	if err := validateWirePolicy(req.GetFailurePolicy()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	t, err := a.reliableTopic(req.GetTopic(), "failure policy")
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policies[req.GetSubscription()] = proto.CloneOf(req.GetFailurePolicy())
	t.reconfigure(req.GetSubscription())
	return &adminpb.SubscriptionResponse{Success: true}, nil
}

// GetSubscriptionFailurePolicy returns the stored policy, or for a living subscription the default; else none.
func (a topicAdmin) GetSubscriptionFailurePolicy(_ context.Context, req *adminpb.GetSubscriptionFailurePolicyRequest) (*adminpb.GetSubscriptionFailurePolicyResponse, error) {
	t, err := a.reliableTopic(req.GetTopic(), "failure policy")
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	resp := &adminpb.GetSubscriptionFailurePolicyResponse{}
	if w := t.policies[req.GetSubscription()]; w != nil {
		resp.FailurePolicy = proto.CloneOf(w)
	}
	if s := t.subs[req.GetSubscription()]; s != nil {
		resp.SubscriptionType = int32(s.kind)
		if resp.FailurePolicy == nil {
			resp.FailurePolicy = t.broker.settings.policy.wire()
		}
	}
	return resp, nil
}

// SetSubscriptionDispatchConfig stores the window and, unlike the real broker, applies it at once.
func (a topicAdmin) SetSubscriptionDispatchConfig(_ context.Context, req *adminpb.SetSubscriptionDispatchConfigRequest) (*adminpb.SubscriptionResponse, error) {
	window := req.GetDispatchConfig().GetMaxUnackedMessages()
	if window < 1 || window > maxWindow {
		return nil, status.Errorf(codes.InvalidArgument, "max_unacked_messages must be between 1 and %d", maxWindow)
	}
	t, err := a.reliableTopic(req.GetTopic(), "dispatch config")
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.windows[req.GetSubscription()] = int(window)
	t.reconfigure(req.GetSubscription())
	return &adminpb.SubscriptionResponse{Success: true}, nil
}

// GetSubscriptionDispatchConfig returns what was stored, or none.
func (a topicAdmin) GetSubscriptionDispatchConfig(_ context.Context, req *adminpb.GetSubscriptionDispatchConfigRequest) (*adminpb.GetSubscriptionDispatchConfigResponse, error) {
	t, err := a.reliableTopic(req.GetTopic(), "dispatch config")
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	resp := &adminpb.GetSubscriptionDispatchConfigResponse{}
	if w, ok := t.windows[req.GetSubscription()]; ok {
		resp.DispatchConfig = &adminpb.SubscriptionDispatchConfig{MaxUnackedMessages: uint32(w)}
	}
	return resp, nil
}
