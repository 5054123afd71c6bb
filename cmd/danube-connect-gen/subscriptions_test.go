package main

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// realAdmin answers as the real broker does: names come several times, and a namespace is a mere prefix.
type realAdmin struct {
	adminpb.UnimplementedTopicAdminServer
	adminpb.UnimplementedBrokerAdminServer
}

func (realAdmin) ListNamespaces(context.Context, *adminpb.Empty) (*adminpb.NamespaceListResponse, error) {
	return &adminpb.NamespaceListResponse{Namespaces: []string{"default", "default2", "default"}}, nil
}

func (realAdmin) ListNamespaceTopics(context.Context, *adminpb.NamespaceRequest) (*adminpb.TopicInfoListResponse, error) {
	return &adminpb.TopicInfoListResponse{Topics: []*adminpb.TopicInfo{
		{Name: "/default/a-part-1", Delivery: "Reliable"}, {Name: "/default/a-part-0", Delivery: "Reliable"},
		{Name: "/default/a-part-x", Delivery: "Reliable"}, {Name: "/default/ticks", Delivery: "NonReliable"},
	}}, nil
}

func (realAdmin) ListSubscriptions(_ context.Context, req *adminpb.TopicRequest) (*adminpb.SubscriptionListResponse, error) {
	if req.GetName() == "/default/ticks" {
		return &adminpb.SubscriptionListResponse{Subscriptions: []string{"t"}}, nil
	}
	return &adminpb.SubscriptionListResponse{Subscriptions: []string{"s", "audit", "s", "s"}}, nil
}

func (realAdmin) GetSubscriptionFailurePolicy(_ context.Context, req *adminpb.GetSubscriptionFailurePolicyRequest) (*adminpb.GetSubscriptionFailurePolicyResponse, error) {
	switch {
	case req.GetTopic() == "/default/ticks":
		return nil, status.Error(codes.FailedPrecondition, "subscription failure policy can only be configured for reliable topics")
	case req.GetSubscription() == "audit":
		return &adminpb.GetSubscriptionFailurePolicyResponse{}, nil
	}
	return &adminpb.GetSubscriptionFailurePolicyResponse{SubscriptionType: 3, FailurePolicy: &adminpb.SubscriptionFailurePolicy{
		MaxRedeliveryCount: 2, AckTimeoutMs: 1500, BaseRedeliveryDelayMs: 100, MaxRedeliveryDelayMs: 100,
		DeadLetterTopic: new("/default/a-dlq"),
	}}, nil
}

func (realAdmin) GetSubscriptionDispatchConfig(_ context.Context, req *adminpb.GetSubscriptionDispatchConfigRequest) (*adminpb.GetSubscriptionDispatchConfigResponse, error) {
	if req.GetSubscription() != "s" {
		return &adminpb.GetSubscriptionDispatchConfigResponse{}, nil
	}
	return &adminpb.GetSubscriptionDispatchConfigResponse{DispatchConfig: &adminpb.SubscriptionDispatchConfig{MaxUnackedMessages: 50}}, nil
}

func TestSubscriptionsOfTheRealBroker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	adminpb.RegisterTopicAdminServer(server, realAdmin{})
	adminpb.RegisterBrokerAdminServer(server, realAdmin{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	admin := "http://" + l.Addr().String()

	code, out, errs := invoke(t, "", "subscriptions", "/default/a", "--admin", admin)
	require.Zero(t, code, errs)
	require.Equal(t, ""+
		"TOPIC              SUBSCRIPTION  TYPE       WINDOW   ACK TIMEOUT  REDELIVERIES             THEN\n"+
		"/default/a-part-0  audit         -          default  -            -                        -\n"+
		"/default/a-part-0  s             KeyShared  50       1.5s         2, Fixed 100ms to 100ms  DeadLetter /default/a-dlq\n"+
		"/default/a-part-1  audit         -          default  -            -                        -\n"+
		"/default/a-part-1  s             KeyShared  50       1.5s         2, Fixed 100ms to 100ms  DeadLetter /default/a-dlq\n", out)
	code, out, errs = invoke(t, "", "subscriptions", "/default/ticks", "--admin", admin)
	require.Zero(t, code, errs)
	require.Regexp(t, `(?m)^/default/ticks +t +- +default +- +- +-$`, out)
	code, out, errs = invoke(t, "", "subscriptions", "/default/a-part-1", "--admin", admin, "--json")
	require.Zero(t, code, errs)
	require.Contains(t, out, `"dead_letter_topic": "/default/a-dlq"`)
}
