package danubetest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

func TestAdminNamespacePolicies(t *testing.T) {
	t.Parallel()
	c := start(t)
	got, err := c.namespaces.GetNamespacePolicies(c.ctx, &adminpb.NamespaceRequest{Name: "default"})
	require.NoError(t, err)
	require.JSONEq(t, `{"max_producers_per_topic":0,"max_subscriptions_per_topic":0,"max_consumers_per_topic":0,"max_consumers_per_subscription":0,
		"max_publish_rate":0,"max_subscription_dispatch_rate":0,"max_message_size":0}`, got.GetPolicies())
	_, err = c.namespaces.GetNamespacePolicies(c.ctx, &adminpb.NamespaceRequest{Name: "none"})
	requireStatus(t, err, codes.NotFound, "Unable to find the namespace none")
}

func TestAdminDeleteNamespace(t *testing.T) {
	t.Parallel()
	c := start(t)
	deleted := func(name string) error {
		_, err := c.namespaces.DeleteNamespace(c.ctx, &adminpb.NamespaceRequest{Name: name})
		return err
	}
	requireStatus(t, deleted("mine"), codes.NotFound, "Unable to find the namespace mine")
	requireStatus(t, deleted("default"), codes.NotFound, "cannot be deleted")
	requireStatus(t, deleted("system"), codes.NotFound, "cannot be deleted")
	_, err := c.namespaces.CreateNamespace(c.ctx, &adminpb.NamespaceRequest{Name: "mine"})
	require.NoError(t, err)
	require.NoError(t, c.createTopic("/mine/orders"))
	requireStatus(t, deleted("mine"), codes.NotFound, "is not empty: it has topic /mine/orders")
	_, err = c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: "/mine/orders"})
	require.NoError(t, err)
	require.NoError(t, deleted("mine"))
	requireStatus(t, c.createTopic("/mine/orders"), codes.NotFound, "Unable to find the namespace")
}

func TestAdminBrokerTopicsAndUnload(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.producer(ticks, "p", nonReliable)
	require.NoError(t, c.createTopic(orders))
	got, err := c.topics.ListBrokerTopics(c.ctx, &adminpb.BrokerRequest{BrokerId: "1"})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]*adminpb.TopicInfo{
		{Name: orders, BrokerId: "1", Delivery: "Reliable"}, {Name: ticks, BrokerId: "1", Delivery: "NonReliable"},
	}, got.GetTopics(), protocmp.Transform()))
	got, err = c.topics.ListBrokerTopics(c.ctx, &adminpb.BrokerRequest{BrokerId: "2"})
	require.NoError(t, err)
	require.Empty(t, got.GetTopics())

	_, err = c.topics.UnloadTopic(c.ctx, &adminpb.TopicRequest{Name: orders})
	requireStatus(t, err, codes.FailedPrecondition, "there is no other broker")
	_, err = c.topics.UnloadTopic(c.ctx, &adminpb.TopicRequest{Name: "/default/none"})
	requireStatus(t, err, codes.NotFound, "Unable to find the topic")
}

func TestAdminClusterAndSegments(t *testing.T) {
	t.Parallel()
	c := start(t)
	cluster := adminpb.NewClusterAdminClient(dial(t, strings.TrimPrefix(c.broker.AdminURL(), "http://")))
	got, err := cluster.ClusterStatus(c.ctx, &adminpb.Empty{})
	require.NoError(t, err)
	require.Equal(t, []uint64{1}, got.GetVoters())
	require.Equal(t, got.GetSelfNodeId(), got.GetLeaderId())
	segments, err := danubepb.NewStorageServiceClient(c.conn).ListSegmentDescriptors(c.ctx, &danubepb.ListSegmentDescriptorsRequest{Topic: orders})
	require.NoError(t, err)
	require.Empty(t, segments.GetSegments())
}
