package danubetest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// namespaceAdmin answers the administration of namespaces.
type namespaceAdmin struct {
	adminpb.UnimplementedNamespaceAdminServer
	broker *Broker
}

func (a namespaceAdmin) CreateNamespace(_ context.Context, req *adminpb.NamespaceRequest) (*adminpb.NamespaceResponse, error) {
	name := strings.Trim(req.GetName(), "/")
	if name == "" || !validTopic("/"+name+"/x") {
		return nil, status.Errorf(codes.NotFound, "namespace %q has an invalid format", req.GetName())
	}
	a.broker.mu.Lock()
	defer a.broker.mu.Unlock()
	if a.broker.namespaces[name] {
		return nil, status.Errorf(codes.NotFound, "namespace %s already exists", name)
	}
	a.broker.namespaces[name] = true
	return &adminpb.NamespaceResponse{Success: true}, nil
}

// GetNamespaceTopics lists names without the leading slash.
func (a namespaceAdmin) GetNamespaceTopics(_ context.Context, req *adminpb.NamespaceRequest) (*adminpb.TopicListResponse, error) {
	resp := &adminpb.TopicListResponse{}
	for _, t := range a.broker.allTopics() {
		if namespaceOf(t.name) == strings.Trim(req.GetName(), "/") {
			resp.Topics = append(resp.Topics, strings.TrimPrefix(t.name, "/"))
		}
	}
	return resp, nil
}

// brokerAdmin answers what the cluster consists of: this broker.
type brokerAdmin struct {
	adminpb.UnimplementedBrokerAdminServer
	broker *Broker
}

func (a brokerAdmin) ListNamespaces(context.Context, *adminpb.Empty) (*adminpb.NamespaceListResponse, error) {
	a.broker.mu.RLock()
	defer a.broker.mu.RUnlock()
	return &adminpb.NamespaceListResponse{Namespaces: slices.Sorted(maps.Keys(a.broker.namespaces))}, nil
}

func (a brokerAdmin) ListBrokers(context.Context, *adminpb.Empty) (*adminpb.BrokerListResponse, error) {
	addr := a.broker.settings.advertised
	if addr == "" {
		addr = a.broker.URL()
	}
	return &adminpb.BrokerListResponse{Brokers: []*adminpb.BrokerInfo{{
		BrokerId:     brokerID,
		BrokerAddr:   addr,
		BrokerRole:   "Cluster_Leader",
		AdminAddr:    a.broker.AdminURL(),
		BrokerStatus: "active",
	}}}, nil
}
