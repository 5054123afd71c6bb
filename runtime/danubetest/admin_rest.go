package danubetest

import (
	"context"
	"encoding/json"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// namespacePolicies are limits of a namespace as the API shows them; zero is none. This broker has none.
type namespacePolicies struct {
	MaxProducersPerTopic        int `json:"max_producers_per_topic"`
	MaxSubscriptionsPerTopic    int `json:"max_subscriptions_per_topic"`
	MaxConsumersPerTopic        int `json:"max_consumers_per_topic"`
	MaxConsumersPerSubscription int `json:"max_consumers_per_subscription"`
	MaxPublishRate              int `json:"max_publish_rate"`
	MaxDispatchRate             int `json:"max_subscription_dispatch_rate"`
	MaxMessageSize              int `json:"max_message_size"`
}

func errNoNamespace(name string) error {
	return status.Errorf(codes.NotFound, "Unable to find the namespace %s", name)
}

func (a namespaceAdmin) GetNamespacePolicies(_ context.Context, req *adminpb.NamespaceRequest) (*adminpb.PolicyResponse, error) {
	name := strings.Trim(req.GetName(), "/")
	a.broker.mu.RLock()
	there := a.broker.namespaces[name]
	a.broker.mu.RUnlock()
	if !there {
		return nil, errNoNamespace(name)
	}
	text, err := json.Marshal(namespacePolicies{})
	if err != nil {
		return nil, status.Errorf(codes.Internal, "policies of namespace %s: %v", name, err)
	}
	return &adminpb.PolicyResponse{Policies: string(text)}, nil
}

// DeleteNamespace deletes a namespace without topics. Those that every broker has stay.
func (a namespaceAdmin) DeleteNamespace(_ context.Context, req *adminpb.NamespaceRequest) (*adminpb.NamespaceResponse, error) {
	name := strings.Trim(req.GetName(), "/")
	a.broker.mu.Lock()
	defer a.broker.mu.Unlock()
	switch {
	case !a.broker.namespaces[name]:
		return nil, errNoNamespace(name)
	case name == "default" || name == "system":
		return nil, status.Errorf(codes.NotFound, "namespace %s always exists and cannot be deleted", name)
	}
	for topic := range a.broker.topics {
		if namespaceOf(topic) == name {
			return nil, status.Errorf(codes.NotFound, "namespace %s is not empty: it has topic %s; delete its topics first", name, topic)
		}
	}
	delete(a.broker.namespaces, name)
	return &adminpb.NamespaceResponse{Success: true}, nil
}

// ListBrokerTopics lists the topics of a broker; one that does not exist has none.
func (a topicAdmin) ListBrokerTopics(_ context.Context, req *adminpb.BrokerRequest) (*adminpb.TopicInfoListResponse, error) {
	resp := &adminpb.TopicInfoListResponse{}
	if req.GetBrokerId() != brokerID {
		return resp, nil
	}
	for _, t := range a.broker.allTopics() {
		resp.Topics = append(resp.Topics, &adminpb.TopicInfo{Name: t.name, BrokerId: brokerID, Delivery: t.delivery()})
	}
	return resp, nil
}

// UnloadTopic would move the topic to another broker, and there is none.
func (a topicAdmin) UnloadTopic(_ context.Context, req *adminpb.TopicRequest) (*adminpb.TopicResponse, error) {
	if a.broker.topic(req.GetName()) == nil {
		return nil, errNoTopic(req.GetName())
	}
	return nil, status.Errorf(codes.FailedPrecondition, "topic %s cannot be unloaded: there is no other broker to take it", req.GetName())
}

// clusterAdmin answers how the brokers agree: this one with itself.
type clusterAdmin struct {
	adminpb.UnimplementedClusterAdminServer
	broker *Broker
}

func (a clusterAdmin) ClusterStatus(context.Context, *adminpb.Empty) (*adminpb.ClusterStatusResponse, error) {
	return &adminpb.ClusterStatusResponse{
		LeaderId: 1, CurrentTerm: 1, SelfNodeId: 1, Voters: []uint64{1}, LastApplied: uint64(a.broker.metadata.applied()),
	}, nil
}

// storage lists the segments of durable logs. This broker seals none.
type storage struct {
	danubepb.UnimplementedStorageServiceServer
}

func (storage) ListSegmentDescriptors(context.Context, *danubepb.ListSegmentDescriptorsRequest) (*danubepb.ListSegmentDescriptorsResponse, error) {
	return &danubepb.ListSegmentDescriptorsResponse{}, nil
}
