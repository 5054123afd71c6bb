package danubetest_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

const adminReliable = adminpb.DispatchStrategy_Reliable

func (c *client) createTopic(name string) error {
	_, err := c.topics.CreateTopic(c.ctx, &adminpb.NewTopicRequest{Name: name, DispatchStrategy: adminReliable})
	return err
}

func TestDB20PolicyIsHonouredAndReadBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		require.NoError(t, c.createTopic(orders))
		require.NoError(t, c.createTopic(orders+"-dlq"))
		want := &adminpb.SubscriptionFailurePolicy{
			MaxRedeliveryCount: 1, AckTimeoutMs: math.MaxUint64, BaseRedeliveryDelayMs: 5, MaxRedeliveryDelayMs: 50,
			BackoffStrategy: adminpb.SubscriptionBackoffStrategy_Fixed, PoisonPolicy: adminpb.SubscriptionPoisonPolicy_Drop,
			DeadLetterTopic: proto.String(orders + "-dlq"),
		}
		c.setPolicy("s", want)
		r := c.consume(orders, "s", "c", exclusive)
		got, err := c.topics.GetSubscriptionFailurePolicy(c.ctx, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: orders, Subscription: "s"})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got.GetFailurePolicy(), protocmp.Transform()))

		p := c.producer(orders, "p", reliable)
		p.send("m000", "m001")
		m := r.expect("m000")
		r.consumeAll("m001")
		r.nack(m, 0, "")
		r.nack(r.expect("m000"), 0, "") // dropped
		require.Equal(t, 0, c.broker.Unacked(orders, "s"))
	})
}

func TestDB20PolicyErrors(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.producer(ticks, "p", nonReliable)
	c.producer(orders, "p", reliable)
	set := func(topic string, p *adminpb.SubscriptionFailurePolicy) error {
		_, err := c.topics.SetSubscriptionFailurePolicy(c.ctx, &adminpb.SetSubscriptionFailurePolicyRequest{Topic: topic, Subscription: "s", FailurePolicy: p})
		return err
	}
	block := &adminpb.SubscriptionFailurePolicy{PoisonPolicy: adminpb.SubscriptionPoisonPolicy_Block}
	const text = "subscription failure policy can only be configured for reliable topics"
	requireStatus(t, set(ticks, block), codes.FailedPrecondition, text)
	requireStatus(t, set("/default/none", block), codes.FailedPrecondition, text)
	requireStatus(t, set(orders, nil), codes.InvalidArgument, "failure_policy is required")
	requireStatus(t, set(orders, &adminpb.SubscriptionFailurePolicy{PoisonPolicy: 9}), codes.InvalidArgument, "poison_policy")
	requireStatus(t, set(orders, &adminpb.SubscriptionFailurePolicy{}), codes.InvalidArgument, "dead_letter_topic is required")

	get := func() *adminpb.GetSubscriptionFailurePolicyResponse {
		resp, err := c.topics.GetSubscriptionFailurePolicy(c.ctx, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: orders, Subscription: "s"})
		require.NoError(t, err)
		return resp
	}
	require.Nil(t, get().FailurePolicy)
	c.subscribe(orders, "s", "c", shared)
	want := &adminpb.SubscriptionFailurePolicy{
		MaxRedeliveryCount: 5, AckTimeoutMs: 30_000, BaseRedeliveryDelayMs: 1000, MaxRedeliveryDelayMs: 60_000,
		BackoffStrategy: adminpb.SubscriptionBackoffStrategy_Exponential, PoisonPolicy: adminpb.SubscriptionPoisonPolicy_Block,
	}
	require.Empty(t, cmp.Diff(want, get().GetFailurePolicy(), protocmp.Transform()))
	require.Equal(t, int32(shared), get().GetSubscriptionType())
}

func TestAdminTopics(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.NoError(t, c.createTopic(orders))
	requireStatus(t, c.createTopic(orders), codes.NotFound, "already exists")
	requireStatus(t, c.createTopic("orders"), codes.NotFound, "has an invalid format")
	requireStatus(t, c.createTopic("/nowhere/orders"), codes.NotFound, "Unable to find the namespace")
	_, err := c.topics.CreateTopic(c.ctx, &adminpb.NewTopicRequest{Name: ticks, DispatchStrategy: 5})
	requireStatus(t, err, codes.InvalidArgument, "Dispatch strategy is missing")
	c.producer(orders, "p", reliable)
	c.producer(ticks, "p", nonReliable)

	created, err := c.topics.CreatePartitionedTopic(c.ctx, &adminpb.PartitionedTopicRequest{BaseName: "/default/many", Partitions: 2, DispatchStrategy: adminReliable})
	require.NoError(t, err)
	require.True(t, created.GetSuccess())
	require.Equal(t, []string{"/default/many-part-0", "/default/many-part-1"}, c.partitions("/default/many"))
	_, err = c.topics.CreatePartitionedTopic(c.ctx, &adminpb.PartitionedTopicRequest{BaseName: "/default/many", Partitions: 3, DispatchStrategy: adminReliable})
	requireStatus(t, err, codes.NotFound, "already exists")
	_, err = c.topics.CreatePartitionedTopic(c.ctx, &adminpb.PartitionedTopicRequest{BaseName: "/default/none", DispatchStrategy: adminReliable})
	require.NoError(t, err, "no partitions is no error")

	list, err := c.topics.ListNamespaceTopics(c.ctx, &adminpb.NamespaceRequest{Name: "default"})
	require.NoError(t, err)
	require.Len(t, list.GetTopics(), 4)
	require.Equal(t, orders, list.GetTopics()[2].GetName())
	require.Equal(t, "Reliable", list.GetTopics()[2].GetDelivery())
	require.Equal(t, "NonReliable", list.GetTopics()[3].GetDelivery())

	_, err = c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: "/default/many-part-0"})
	requireStatus(t, err, codes.NotFound, "is a partition")
	_, err = c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: "/default/many"})
	require.NoError(t, err)
	require.Empty(t, c.partitions("/default/many"))
	_, err = c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: "/default/many"})
	requireStatus(t, err, codes.NotFound, "Unable to find the topic")
}

func TestAdminDeleteTopicEndsItsStreamsWithOK(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	p.send("m000")
	r.expect("m000")
	_, err := c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: orders})
	require.NoError(t, err)
	<-r.ended
	require.NoError(t, r.err)
	again := c.producer(orders, "p", reliable)
	require.NotEqual(t, p.id, again.id)
	r = c.consume(orders, "s", "c", exclusive)
	again.send("m001")
	require.Equal(t, uint64(0), offset(r.expect("m001")), "a new topic begins anew")
}

func TestAdminSubscriptions(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	c.consume(orders, "t", "c", shared)
	subs, err := c.topics.ListSubscriptions(c.ctx, &adminpb.TopicRequest{Name: orders})
	require.NoError(t, err)
	require.Equal(t, []string{"s", "t"}, subs.GetSubscriptions())
	about, err := c.topics.DescribeTopic(c.ctx, &adminpb.DescribeTopicRequest{Name: orders})
	require.NoError(t, err)
	require.Equal(t, []string{"s", "t"}, about.GetSubscriptions())
	require.Equal(t, "Reliable", about.GetDelivery())
	about, err = c.topics.DescribeTopic(c.ctx, &adminpb.DescribeTopicRequest{Name: "/default/none"})
	require.NoError(t, err, "what does not exist is described as empty")
	require.Empty(t, about.GetSubscriptions())

	unsubscribe := func(sub string) error {
		_, err := c.topics.Unsubscribe(c.ctx, &adminpb.SubscriptionRequest{Topic: orders, Subscription: sub})
		return err
	}
	requireStatus(t, unsubscribe("s"), codes.NotFound, "active consumers")
	requireStatus(t, unsubscribe("none"), codes.NotFound, "subscription not found")
	p.send("m000")
	r.expect("m000")
	r.close()
	c.waitFor(func() bool { s, _ := c.broker.Subscription(orders, "s"); return len(s.Connected) == 0 })
	require.NoError(t, unsubscribe("s"))
	r = c.consume(orders, "s", "c", exclusive)
	p.send("m001")
	r.expect("m001") // the position went with the subscription
}

func TestAdminNamespacesAndBrokers(t *testing.T) {
	t.Parallel()
	c := start(t)
	create := func(name string) error {
		_, err := c.namespaces.CreateNamespace(c.ctx, &adminpb.NamespaceRequest{Name: name})
		return err
	}
	require.NoError(t, create("default2"))
	requireStatus(t, create("default2"), codes.NotFound, "already exists")
	requireStatus(t, create("a/b"), codes.NotFound, "invalid format")
	names, err := c.brokers.ListNamespaces(c.ctx, &adminpb.Empty{})
	require.NoError(t, err)
	require.Equal(t, []string{"default", "default2", "system"}, names.GetNamespaces())
	c.producer(orders, "p", reliable)
	c.producer("/default2/orders", "p", reliable)
	topics, err := c.namespaces.GetNamespaceTopics(c.ctx, &adminpb.NamespaceRequest{Name: "default"})
	require.NoError(t, err)
	require.Equal(t, []string{"default/orders"}, topics.GetTopics())
	brokers, err := c.brokers.ListBrokers(c.ctx, &adminpb.Empty{})
	require.NoError(t, err)
	require.Len(t, brokers.GetBrokers(), 1)
	require.Equal(t, c.broker.URL(), brokers.GetBrokers()[0].GetBrokerAddr())
	require.Equal(t, c.broker.AdminURL(), brokers.GetBrokers()[0].GetAdminAddr())
}
