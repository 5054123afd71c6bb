package danubetest_test

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func (c *client) lookup(topic string) (*danubepb.TopicLookupResponse, error) {
	return c.TopicLookup(c.ctx, &danubepb.TopicLookupRequest{RequestId: 9, Topic: topic})
}

func (c *client) partitions(topic string) []string {
	c.t.Helper()
	resp, err := c.TopicPartitions(c.ctx, &danubepb.TopicLookupRequest{RequestId: 9, Topic: topic})
	require.NoError(c.t, err)
	require.Equal(c.t, uint64(9), resp.GetRequestId())
	return resp.GetPartitions()
}

func TestDB01CreateProducerCreatesTheTopic(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.producer(orders, "p", reliable)
	require.Equal(t, []string{orders}, c.broker.Topics())

	_, err := c.CreateProducer(c.ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: "/nowhere/orders"})
	requireStatus(t, err, codes.Unavailable, "Unable to find the namespace")
}

func TestDB02LookupAnswersADialableURL(t *testing.T) {
	t.Parallel()
	c := start(t)
	_, err := c.lookup(orders)
	requireStatus(t, err, codes.NotFound, "Unable to find the requested topic")

	c.producer(orders, "p", reliable)
	resp, err := c.lookup(orders)
	require.NoError(t, err)
	require.Equal(t, uint64(9), resp.GetRequestId())
	require.Equal(t, danubepb.TopicLookupResponse_Connect, resp.GetResponseType())
	require.Equal(t, c.broker.URL(), resp.GetConnectUrl())
	require.Equal(t, resp.GetConnectUrl(), resp.GetBrokerUrl())
	require.False(t, resp.GetProxy())

	u, err := url.Parse(resp.GetConnectUrl())
	require.NoError(t, err)
	require.Equal(t, "http", u.Scheme)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestDB02LookupOfAPrefixIsNotFound(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.producer("/default/foobar", "p", reliable)
	_, err := c.lookup("/default/foo")
	requireStatus(t, err, codes.NotFound, "Unable to find the requested topic")
}

func TestDB02AdvertisedURL(t *testing.T) {
	t.Parallel()
	c := start(t, danubetest.AdvertisedURL("http://broker:6650"))
	c.producer(orders, "p", reliable)
	resp, err := c.lookup(orders)
	require.NoError(t, err)
	require.Equal(t, "http://broker:6650", resp.GetConnectUrl())
}

// A broker that listens on all addresses answers with the one that the client has used.
func TestDB02LookupOnAllAddresses(t *testing.T) {
	t.Parallel()
	b, err := danubetest.New()
	require.NoError(t, err)
	t.Cleanup(b.Close)
	l, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	require.NoError(t, b.Serve(l, nil))
	port := l.Addr().(*net.TCPAddr).Port
	require.Equal(t, fmt.Sprintf("http://127.0.0.1:%d", port), b.URL())

	conn := dial(t, fmt.Sprintf("localhost:%d", port))
	c := newClient(t, b, conn, conn)
	c.producer(orders, "p", reliable)
	resp, err := c.lookup(orders)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("http://localhost:%d", port), resp.GetConnectUrl())
}

func TestDB03PartitionsOfAPlainTopic(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.Empty(t, c.partitions(orders), "a missing topic has none, and that is no error")
	c.producer(orders, "p", reliable)
	require.Equal(t, []string{orders}, c.partitions(orders))
}

func TestDB09PartitionsByProducers(t *testing.T) {
	t.Parallel()
	c := start(t)
	var want []string
	readers := make(map[string]*reader)
	for i := range 3 {
		name := fmt.Sprintf("%s-part-%d", orders, i)
		want = append(want, name)
		p := c.producer(name, fmt.Sprintf("p-%d", i), reliable)
		readers[name] = c.consume(name, "s", "c", exclusive)
		p.send("to " + name)
	}
	require.Empty(t, cmp.Diff(want, c.partitions(orders)))
	for name, r := range readers {
		m := r.expect("to " + name)
		require.Equal(t, name, m.GetMsgId().GetTopicName())
		require.Equal(t, uint64(0), offset(m))
		r.ack(m)
		c.waitFor(func() bool { return c.broker.Unacked(name, "s") == 0 })
	}
}

func TestDB09PartitionsAreInByteOrder(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, i := range []int{2, 10, 1} {
		c.producer(fmt.Sprintf("%s-part-%d", orders, i), "p", reliable)
	}
	c.producer(orders+"-part-list", "p", reliable) // not a partition: no digits
	c.producer(orders+"-dlq", "p", reliable)
	require.Equal(t, []string{orders + "-part-1", orders + "-part-10", orders + "-part-2"}, c.partitions(orders))
}

func TestDB11PlainAndPartitionedSideBySide(t *testing.T) {
	t.Parallel()
	for _, plainFirst := range []bool{true, false} {
		t.Run(fmt.Sprint(plainFirst), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			names := []string{orders + "_np", orders + "-part-0"}
			if !plainFirst {
				names[0], names[1] = names[1], names[0]
			}
			for _, name := range names {
				p := c.producer(name, "p", reliable)
				r := c.consume(name, "s", "c", shared)
				p.send("x")
				require.Equal(t, name, r.expect("x").GetMsgId().GetTopicName())
			}
			require.Equal(t, []string{orders + "-part-0"}, c.partitions(orders))
			require.Equal(t, []string{orders + "_np"}, c.partitions(orders+"_np"))
		})
	}
}

func TestDB45ABaseNameIsPlainOrPartitioned(t *testing.T) {
	t.Parallel()
	c := start(t)
	create := func(name string) error {
		_, err := c.CreateProducer(c.ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: name})
		return err
	}
	require.NoError(t, create("/default/a-part-0"))
	requireStatus(t, create("/default/a"), codes.AlreadyExists, "already exist")
	require.NoError(t, create("/default/b"))
	requireStatus(t, create("/default/b-part-0"), codes.AlreadyExists, "already exists")
	// A longer name is another name, whichever comes first.
	require.NoError(t, create("/default/c-dlq"))
	require.NoError(t, create("/default/c"))
}

func TestDB45BadNamesAndStrategies(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, name := range []string{"", "orders", "/orders", "/default/a/b", "/default/a.b", "/default/a:b", "/default/a b"} {
		t.Run(strings.ReplaceAll(name, "/", "|"), func(t *testing.T) {
			_, err := c.lookup(name)
			requireStatus(t, err, codes.InvalidArgument, "has an invalid format")
			_, err = c.TopicPartitions(c.ctx, &danubepb.TopicLookupRequest{Topic: name})
			requireStatus(t, err, codes.InvalidArgument, "has an invalid format")
			_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{TopicName: name, ProducerName: "p"})
			requireStatus(t, err, codes.InvalidArgument, "has an invalid format")
			_, err = c.Subscribe(c.ctx, &danubepb.ConsumerRequest{TopicName: name, Subscription: "s", ConsumerName: "c"})
			requireStatus(t, err, codes.InvalidArgument, "has an invalid format")
		})
	}
	c.producer(orders, "p", reliable)
	_, err := c.CreateProducer(c.ctx, &danubepb.ProducerRequest{TopicName: orders, ProducerName: "q", DispatchStrategy: nonReliable})
	requireStatus(t, err, codes.FailedPrecondition, "does not match topic strategy")
	_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{TopicName: "/default/new", ProducerName: "q", DispatchStrategy: 7})
	requireStatus(t, err, codes.InvalidArgument, "Dispatch strategy is missing")
	_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{TopicName: orders, ProducerName: "q", DispatchStrategy: 7})
	require.NoError(t, err, "a number that is no strategy skips the check on a topic that exists")
	_, err = c.Subscribe(c.ctx, &danubepb.ConsumerRequest{TopicName: "/default/new", Subscription: "s", ConsumerName: "c"})
	requireStatus(t, err, codes.NotFound, "Unable to find the topic")
	_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{
		TopicName: orders, ProducerName: "q", DispatchStrategy: reliable, SchemaRef: &danubepb.SchemaReference{Subject: "none"},
	})
	requireStatus(t, err, codes.FailedPrecondition, "not found in registry")
}
