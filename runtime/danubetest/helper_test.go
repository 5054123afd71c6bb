package danubetest_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	exclusive = danubepb.ConsumerRequest_Exclusive
	shared    = danubepb.ConsumerRequest_Shared
	failover  = danubepb.ConsumerRequest_Failover
	keyShared = danubepb.ConsumerRequest_KeyShared

	reliable    = danubepb.DispatchStrategy_Reliable
	nonReliable = danubepb.DispatchStrategy_NonReliable
)

// patience is how long a test waits for what must happen.
const patience = 15 * time.Second

// A client makes raw calls to a broker and fails the test when one does not succeed.
type client struct {
	danubepb.DiscoveryClient
	danubepb.ProducerServiceClient
	danubepb.ConsumerServiceClient
	danubepb.HealthCheckClient
	schemapb.SchemaRegistryClient
	topics     adminpb.TopicAdminClient
	namespaces adminpb.NamespaceAdminClient
	brokers    adminpb.BrokerAdminClient

	t      testing.TB
	ctx    context.Context
	broker *danubetest.Broker
	conn   *grpc.ClientConn
	admin  *grpc.ClientConn
	dial   func(context.Context) (net.Conn, error) // to the client listener, in a bubble
}

// start serves a broker on real ports and connects to it.
func start(t testing.TB, opts ...danubetest.Option) *client {
	t.Helper()
	b := danubetest.Start(t, opts...)
	return connect(t, b)
}

// connect makes a client with connections of its own.
func connect(t testing.TB, b *danubetest.Broker) *client {
	return newClient(t, b, dial(t, strings.TrimPrefix(b.URL(), "http://")), dial(t, strings.TrimPrefix(b.AdminURL(), "http://")))
}

func dial(t testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20), grpc.WaitForReady(true)))
	conn, err := grpc.NewClient(target, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func newClient(t testing.TB, b *danubetest.Broker, conn, admin *grpc.ClientConn) *client {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return &client{
		DiscoveryClient:       danubepb.NewDiscoveryClient(conn),
		ProducerServiceClient: danubepb.NewProducerServiceClient(conn),
		ConsumerServiceClient: danubepb.NewConsumerServiceClient(conn),
		HealthCheckClient:     danubepb.NewHealthCheckClient(conn),
		SchemaRegistryClient:  schemapb.NewSchemaRegistryClient(conn),
		topics:                adminpb.NewTopicAdminClient(admin),
		namespaces:            adminpb.NewNamespaceAdminClient(admin),
		brokers:               adminpb.NewBrokerAdminClient(admin),
		t:                     t,
		ctx:                   ctx,
		broker:                b,
		conn:                  conn,
		admin:                 admin,
	}
}

// bubble runs test on a fake clock, with a broker on in-memory listeners.
func bubble(t *testing.T, test func(*testing.T, *client), opts ...danubetest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := danubetest.New(opts...)
		require.NoError(t, err)
		api, admin := bufconn.Listen(1<<20), bufconn.Listen(1<<16)
		require.NoError(t, b.Serve(api, admin))
		t.Cleanup(b.Close)
		c := newClient(t, b, dialMemory(t, api), dialMemory(t, admin))
		c.dial = api.DialContext
		test(t, c)
	})
}

func dialMemory(t testing.TB, l *bufconn.Listener) *grpc.ClientConn {
	return dial(t, "passthrough:///memory", grpc.WithContextDialer(dialer(l)))
}

func dialer(l *bufconn.Listener) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }
}

// settled repeats a call that a dying connection fails, until it gets an answer; the client connects anew by itself.
func settled(call func() error) error {
	for {
		if err := call(); status.Code(err) != codes.Unavailable {
			return err
		}
	}
}

// A sender publishes to one topic.
type sender struct {
	c     *client
	topic string
	name  string
	id    uint64
	sent  uint64
}

func (c *client) producer(topic, name string, strategy danubepb.DispatchStrategy) *sender {
	c.t.Helper()
	req := &danubepb.ProducerRequest{RequestId: 7, ProducerName: name, TopicName: topic, DispatchStrategy: strategy}
	resp, err := c.CreateProducer(c.ctx, req)
	for status.Code(err) == codes.Unavailable { // the trap late-topic, on a fake clock
		<-time.After(50 * time.Millisecond)
		resp, err = c.CreateProducer(c.ctx, req)
	}
	require.NoError(c.t, err)
	require.Equal(c.t, uint64(7), resp.GetRequestId())
	require.Equal(c.t, name, resp.GetProducerName())
	return &sender{c: c, topic: topic, name: name, id: resp.GetProducerId()}
}

// message is what the sender would publish.
func (s *sender) message(payload string) *danubepb.StreamMessage {
	s.sent++
	return &danubepb.StreamMessage{
		RequestId:    s.sent,
		MsgId:        &danubepb.MsgID{ProducerId: s.id, TopicName: s.topic, BrokerAddr: "http://broker"},
		Payload:      []byte(payload),
		PublishTime:  1_700_000_000_000 + s.sent,
		ProducerName: s.name,
	}
}

func (s *sender) publish(m *danubepb.StreamMessage) {
	s.c.t.Helper()
	resp, err := s.c.SendMessage(s.c.ctx, m)
	require.NoError(s.c.t, err)
	require.Equal(s.c.t, m.GetRequestId(), resp.GetRequestId())
}

func (s *sender) send(payloads ...string) {
	s.c.t.Helper()
	for _, p := range payloads {
		s.publish(s.message(p))
	}
}

func (s *sender) sendKey(key, payload string) {
	s.c.t.Helper()
	m := s.message(payload)
	m.RoutingKey = proto.String(key)
	s.publish(m)
}

// numbers is the texts of from to to-1.
func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("m%03d", i))
	}
	return out
}

// A reader is a consumer with an open stream.
type reader struct {
	c      *client
	topic  string
	sub    string
	id     uint64
	in     chan *danubepb.StreamMessage
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // how the stream ended, nil for OK; set before ended is closed
}

func (c *client) subscribe(topic, sub, name string, kind danubepb.ConsumerRequest_SubscriptionType, filters ...string) uint64 {
	c.t.Helper()
	resp, err := c.Subscribe(c.ctx, &danubepb.ConsumerRequest{
		RequestId: 5, TopicName: topic, Subscription: sub, ConsumerName: name, SubscriptionType: kind, KeyFilters: filters,
	})
	require.NoError(c.t, err)
	require.Equal(c.t, uint64(5), resp.GetRequestId())
	require.Equal(c.t, name, resp.GetConsumerName())
	return resp.GetConsumerId()
}

// receive opens the stream of a consumer and reads it until the test ends.
func (c *client) receive(topic, sub string, id uint64) *reader {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.ctx)
	stream, err := c.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: id})
	require.NoError(c.t, err)
	_, err = stream.Header()
	require.NoError(c.t, err)
	r := &reader{
		c: c, topic: topic, sub: sub, id: id,
		in: make(chan *danubepb.StreamMessage, 100_000), cancel: cancel, ended: make(chan struct{}),
	}
	go func() {
		defer close(r.ended)
		for {
			m, err := stream.Recv()
			if err != nil {
				if err.Error() != "EOF" {
					r.err = err
				}
				return
			}
			r.in <- m
		}
	}()
	c.t.Cleanup(r.close)
	return r
}

// consume subscribes and opens the stream.
func (c *client) consume(topic, sub, name string, kind danubepb.ConsumerRequest_SubscriptionType, filters ...string) *reader {
	c.t.Helper()
	return c.receive(topic, sub, c.subscribe(topic, sub, name, kind, filters...))
}

// close ends the stream from the client's side.
func (r *reader) close() {
	r.cancel()
	<-r.ended
}

// next waits for one message.
func (r *reader) next() *danubepb.StreamMessage {
	r.c.t.Helper()
	select {
	case m := <-r.in:
		return m
	case <-time.After(patience):
		require.FailNow(r.c.t, "no message came", "topic %s, subscription %s", r.topic, r.sub)
	}
	return nil
}

// expect waits for these payloads, in this order, and returns the last message.
func (r *reader) expect(payloads ...string) (last *danubepb.StreamMessage) {
	r.c.t.Helper()
	for _, want := range payloads {
		last = r.next()
		require.Equal(r.c.t, want, string(last.GetPayload()), "offset %d", last.GetMsgId().GetTopicOffset())
	}
	return last
}

// consumeAll waits for these payloads, in this order, and acknowledges each.
func (r *reader) consumeAll(payloads ...string) {
	r.c.t.Helper()
	for _, want := range payloads {
		r.ack(r.expect(want))
	}
}

// quiet checks on a fake clock that nothing comes for d.
func (r *reader) quiet(d time.Duration) {
	r.c.t.Helper()
	select {
	case m := <-r.in:
		require.FailNow(r.c.t, "unexpected message", "%s at offset %d", m.GetPayload(), m.GetMsgId().GetTopicOffset())
	case <-time.After(d):
	}
}

func (r *reader) ack(m *danubepb.StreamMessage) {
	r.c.t.Helper()
	resp, err := r.c.Ack(r.c.ctx, &danubepb.AckRequest{RequestId: 3, MsgId: m.GetMsgId(), SubscriptionName: r.sub})
	require.NoError(r.c.t, err)
	require.Equal(r.c.t, uint64(3), resp.GetRequestId())
}

func (r *reader) nack(m *danubepb.StreamMessage, delay time.Duration, reason string) {
	r.c.t.Helper()
	req := &danubepb.NackRequest{RequestId: 4, MsgId: m.GetMsgId(), SubscriptionName: r.sub, DelayMs: proto.Uint64(uint64(delay.Milliseconds()))}
	if reason != "" {
		req.Reason = proto.String(reason)
	}
	resp, err := r.c.Nack(r.c.ctx, req)
	require.NoError(r.c.t, err)
	require.Equal(r.c.t, uint64(4), resp.GetRequestId())
}

// offset is the message's offset.
func offset(m *danubepb.StreamMessage) uint64 { return m.GetMsgId().GetTopicOffset() }

// requireStatus checks code and text of a failed call.
func requireStatus(t testing.TB, err error, code codes.Code, text string) {
	t.Helper()
	require.Equal(t, code, status.Code(err), "error: %v", err)
	require.Contains(t, status.Convert(err).Message(), text)
}

// waitFor waits until the broker meets a condition.
func (c *client) waitFor(met func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	require.NoError(c.t, c.broker.WaitFor(ctx, met))
}
