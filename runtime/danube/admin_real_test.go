package danube_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// realAdmin answers as the real broker does where that surprises: it repeats names, takes a namespace for a prefix, and answers refusals of
// all kinds with NOT_FOUND.
type realAdmin struct {
	adminpb.UnimplementedTopicAdminServer
	adminpb.UnimplementedBrokerAdminServer
	brokers    []*adminpb.BrokerInfo
	standalone bool          // DeleteTopic deletes the very name, else also partitions, and refuses the names of these
	slow       time.Duration // how long what was closed, deleted or created goes on counting

	mu      sync.Mutex
	topics  []string
	deleted time.Time
	closed  time.Time // when consumers of subscription s were closed
	removed []string  // topics that subscription s was removed from
	set     []string  // topics whose policy was set
}

func (r *realAdmin) ListBrokers(context.Context, *adminpb.Empty) (*adminpb.BrokerListResponse, error) {
	if r.brokers == nil {
		return nil, status.Error(codes.PermissionDenied, "no binding grants ManageBroker on Cluster for service_account:app")
	}
	return &adminpb.BrokerListResponse{Brokers: r.brokers}, nil
}

func (r *realAdmin) ListNamespaces(context.Context, *adminpb.Empty) (*adminpb.NamespaceListResponse, error) {
	return &adminpb.NamespaceListResponse{Namespaces: []string{"/default", "default2", "default"}}, nil
}

func (r *realAdmin) ListNamespaceTopics(_ context.Context, req *adminpb.NamespaceRequest) (*adminpb.TopicInfoListResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	resp := &adminpb.TopicInfoListResponse{}
	for _, name := range append(slices.Clone(r.topics), r.topics...) {
		if strings.HasPrefix(name, "/"+req.GetName()) && (r.deleted.IsZero() || time.Since(r.deleted) < r.slow || r.standalone) {
			resp.Topics = append(resp.Topics, &adminpb.TopicInfo{Name: name, Delivery: "Reliable", BrokerId: "2"})
		}
	}
	return resp, nil
}

func (r *realAdmin) DeleteTopic(_ context.Context, req *adminpb.TopicRequest) (*adminpb.TopicResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.standalone {
		r.topics = slices.DeleteFunc(r.topics, func(name string) bool { return name == req.GetName() })
		return &adminpb.TopicResponse{Success: true}, nil
	}
	if strings.Contains(req.GetName(), "-part-") {
		return nil, status.Error(codes.NotFound, "partitions cannot be deleted")
	}
	if r.deleted.IsZero() {
		r.deleted = time.Now()
	}
	return &adminpb.TopicResponse{Success: true}, nil
}

func (r *realAdmin) ListSubscriptions(context.Context, *adminpb.TopicRequest) (*adminpb.SubscriptionListResponse, error) {
	return &adminpb.SubscriptionListResponse{Subscriptions: []string{"s", "audit", "s", "s"}}, nil
}

func (r *realAdmin) Unsubscribe(_ context.Context, req *adminpb.SubscriptionRequest) (*adminpb.SubscriptionResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.GetSubscription() != "s" || time.Since(r.closed) < r.slow {
		return nil, status.Error(codes.NotFound, "the subscription has active consumers")
	}
	r.removed = append(r.removed, req.GetTopic())
	return &adminpb.SubscriptionResponse{Success: true}, nil
}

func (r *realAdmin) SetSubscriptionFailurePolicy(_ context.Context, req *adminpb.SetSubscriptionFailurePolicyRequest) (*adminpb.SubscriptionResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.closed) < r.slow {
		return nil, status.Error(codes.FailedPrecondition, "subscription failure policy can only be configured for reliable topics")
	}
	r.set = append(r.set, req.GetTopic())
	return &adminpb.SubscriptionResponse{Success: true}, nil
}

// withReal runs a test, on a fake clock, with clients of brokers by their address.
func withReal(t *testing.T, brokers map[string]*realAdmin, test func(*testing.T, *danube.Admin)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listeners := map[string]*bufconn.Listener{}
		for addr, r := range brokers {
			server := grpc.NewServer()
			adminpb.RegisterTopicAdminServer(server, r)
			adminpb.RegisterBrokerAdminServer(server, r)
			l := bufconn.Listen(1 << 16)
			listeners[addr] = l
			var serving sync.WaitGroup
			serving.Go(func() { _ = server.Serve(l) }) // ends with Stop
			t.Cleanup(func() {
				server.Stop()
				serving.Wait()
			})
		}
		a, err := danube.NewAdmin("http://one", danube.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return listeners[addr].DialContext(ctx)
		}))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, a.Close()) })
		test(t, a)
	})
}

const one = "one:50051"

func TestAdminNamesOfTheRealBroker(t *testing.T) {
	t.Parallel()
	r := &realAdmin{topics: []string{"/default/a-part-10", "/default/a-part-2", "/default/a-part-x", "/default2/b", "/default/c"}}
	withReal(t, map[string]*realAdmin{one: r}, func(t *testing.T, a *danube.Admin) {
		names, err := a.Namespaces(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"default", "default2"}, names)
		topics, err := a.Topics(t.Context(), "default")
		require.NoError(t, err)
		require.Len(t, topics, 3)
		require.Equal(t, []string{"/default/a-part-2", "/default/a-part-10"}, topics[0].Names())
		require.Equal(t, []string{"/default/a-part-x"}, topics[1].Names())
		require.Equal(t, []string{"/default/c"}, topics[2].Names())
		all, err := a.Topics(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, all, 4)
		subs, err := a.Subscriptions(t.Context(), "/default/c")
		require.NoError(t, err)
		require.Equal(t, []danube.SubscriptionInfo{{Topic: "/default/c", Name: "audit"}, {Topic: "/default/c", Name: "s"}}, subs)
	})
}

func TestDeleteTopicOfTheRealBroker(t *testing.T) {
	t.Parallel()
	topics := []string{"/default/a-part-0", "/default/a-part-1", "/default/spare-part-list"}
	remove := func(r *realAdmin, name string) (took time.Duration, err error) {
		r.topics = slices.Clone(topics)
		withReal(t, map[string]*realAdmin{one: r}, func(t *testing.T, a *danube.Admin) {
			start := time.Now()
			err = a.DeleteTopic(t.Context(), name)
			took = time.Since(start)
		})
		return took, err
	}
	standalone := &realAdmin{standalone: true}
	_, err := remove(standalone, "/default/a")
	require.NoError(t, err)
	require.Equal(t, topics[2:], standalone.topics)
	_, err = remove(standalone, "/default/b")
	requireRefused(t, err, danube.ErrNotFound, "there is no such topic")

	_, err = remove(standalone, "/default/a-part-1")
	requireRefused(t, err, danube.ErrName, "it is a partition, and partitions are deleted together; delete /default/a")
	require.Equal(t, topics, standalone.topics)

	took, err := remove(&realAdmin{slow: 500 * time.Millisecond}, "/default/a")
	require.NoError(t, err)
	require.GreaterOrEqual(t, took, 500*time.Millisecond)
	_, err = remove(&realAdmin{slow: time.Minute}, "/default/a")
	require.ErrorContains(t, err, "delete topic /default/a: it is still there: delete topic /default/a-part-1: partitions cannot be deleted")
	require.False(t, danube.IsPermanent(err))
	_, err = remove(&realAdmin{}, "/default/spare-part-list")
	requireRefused(t, err, danube.ErrName, `a cluster takes every name with "-part-" in it for a partition`)
}

func TestUnsubscribeOutlastsAStreamThatWasJustClosed(t *testing.T) {
	t.Parallel()
	r := &realAdmin{topics: []string{"/default/a-part-0", "/default/a-part-1"}, slow: 500 * time.Millisecond}
	withReal(t, map[string]*realAdmin{one: r}, func(t *testing.T, a *danube.Admin) {
		r.closed = time.Now()
		require.NoError(t, a.Unsubscribe(t.Context(), "/default/a", "s"))
		require.Equal(t, []string{"/default/a-part-0", "/default/a-part-1"}, r.removed)
		require.Less(t, time.Since(r.closed), time.Second)
		start := time.Now()
		err := a.Unsubscribe(t.Context(), "/default/a", "none")
		requireRefused(t, err, danube.ErrNotFound, "there is no such subscription")
		require.Zero(t, time.Since(start), "nothing to wait for")
	})
}

func TestSetFailurePolicyOutlastsATopicThatWasJustCreated(t *testing.T) {
	t.Parallel()
	r := &realAdmin{topics: []string{"/default/a"}, slow: 500 * time.Millisecond}
	withReal(t, map[string]*realAdmin{one: r}, func(t *testing.T, a *danube.Admin) {
		r.closed = time.Now()
		require.NoError(t, a.SetFailurePolicy(t.Context(), "/default/a", "s", danube.FailurePolicy{AckTimeout: time.Hour}))
		require.Equal(t, []string{"/default/a"}, r.set)
	})
}

func TestAdminAsksTheBrokerThatHasTheTopic(t *testing.T) {
	t.Parallel()
	topics := []string{"/default/a"} // on broker 2
	for address, asked := range map[string]int{"http://two:50051/": 2, "two:50051": 2, "": 1, "0.0.0.0": 1} {
		brokers := []*adminpb.BrokerInfo{{BrokerId: "1", AdminAddr: one}, {BrokerId: "2", AdminAddr: address}}
		first, second := &realAdmin{topics: topics, brokers: brokers}, &realAdmin{topics: topics, brokers: brokers}
		withReal(t, map[string]*realAdmin{one: first, "two:50051": second}, func(t *testing.T, a *danube.Admin) {
			require.NoError(t, a.Unsubscribe(t.Context(), "/default/a", "s"))
			require.Len(t, first.removed, 2-asked, address)
			require.Len(t, second.removed, asked-1, address)
		})
	}
	// A broker that is alone may tell an address that cannot be reached from outside.
	alone := &realAdmin{topics: topics, brokers: []*adminpb.BrokerInfo{{BrokerId: "2", AdminAddr: "0.0.0.0:50051"}}}
	withReal(t, map[string]*realAdmin{one: alone}, func(t *testing.T, a *danube.Admin) {
		require.NoError(t, a.Unsubscribe(t.Context(), "/default/a", "s"))
		require.Len(t, alone.removed, 1)
	})
}
