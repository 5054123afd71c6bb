package danube

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A fakeCluster is several brokers whose answers a test decides, reached in memory. Unless the test says otherwise all topics exist, on the
// broker that is asked.
type fakeCluster struct {
	t       *testing.T
	brokers map[string]*scripted // by host:port

	mu         sync.Mutex
	calls      []seen
	topics     []string // what TopicPartitions finds by prefix; producers add to it
	subscribed []string
	lookup     func(broker, topic string) (*pb.TopicLookupResponse, error)
	admit      func(c seen) error // nil lets every call in
}

// seen is a call that a broker got.
type seen struct {
	broker, method string
	header         metadata.MD
}

// first is the first value of a header, empty for none.
func (c seen) first(header string) string {
	if v := c.header.Get(header); len(v) > 0 {
		return v[0]
	}
	return ""
}

// newCluster starts brokers, which end with the test.
func newCluster(t *testing.T, addrs ...string) *fakeCluster {
	t.Helper()
	c := &fakeCluster{t: t, brokers: make(map[string]*scripted)}
	c.lookup = func(broker, _ string) (*pb.TopicLookupResponse, error) {
		return &pb.TopicLookupResponse{ResponseType: pb.TopicLookupResponse_Connect, ConnectUrl: "http://" + broker, BrokerUrl: "http://" + broker}, nil
	}
	for _, addr := range addrs {
		c.brokers[addr] = c.start(addr)
	}
	return c
}

func (c *fakeCluster) start(addr string) *scripted {
	b := &scripted{cluster: c, addr: addr, listener: bufconn.Listen(1 << 20)}
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := b.got(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := b.got(ss.Context(), info.FullMethod); err != nil {
				return err
			}
			return handle(srv, ss)
		}),
	)
	pb.RegisterDiscoveryServer(server, b)
	pb.RegisterProducerServiceServer(server, b)
	pb.RegisterConsumerServiceServer(server, b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(b.listener) // ends with Stop
	}()
	c.t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return b
}

// client gives a client of one of the brokers.
func (c *fakeCluster) client(addr string, opts ...Option) *Client {
	c.t.Helper()
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		if b := c.brokers[addr]; b != nil {
			return b.listener.DialContext(ctx)
		}
		return nil, fmt.Errorf("no broker at %s", addr)
	}
	client, err := New("http://"+addr, append([]Option{WithDialer(dial)}, opts...)...)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = client.Close() }) // a test may have closed it
	return client
}

// seen lists the calls of a method, of every method if it is empty.
func (c *fakeCluster) seen(method string) []seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.calls), func(s seen) bool { return method != "" && s.method != method })
}

func (c *fakeCluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// A scripted is one broker of a cluster.
type scripted struct {
	pb.UnimplementedDiscoveryServer
	pb.UnimplementedProducerServiceServer
	pb.UnimplementedConsumerServiceServer

	cluster  *fakeCluster
	addr     string
	listener *bufconn.Listener
}

// got notes a call and says whether it is let in.
func (b *scripted) got(ctx context.Context, method string) error {
	header, _ := metadata.FromIncomingContext(ctx)
	call := seen{broker: b.addr, method: method[len("/danube."):], header: header}
	c := b.cluster
	c.mu.Lock()
	c.calls = append(c.calls, call)
	admit := c.admit
	c.mu.Unlock()
	if admit == nil {
		return nil
	}
	return admit(call)
}

func (b *scripted) TopicLookup(_ context.Context, r *pb.TopicLookupRequest) (*pb.TopicLookupResponse, error) {
	b.cluster.mu.Lock()
	lookup := b.cluster.lookup
	b.cluster.mu.Unlock()
	return lookup(b.addr, r.GetTopic())
}

func (b *scripted) TopicPartitions(context.Context, *pb.TopicLookupRequest) (*pb.TopicPartitionsResponse, error) {
	b.cluster.mu.Lock()
	defer b.cluster.mu.Unlock()
	return &pb.TopicPartitionsResponse{Partitions: slices.Clone(b.cluster.topics)}, nil
}

func (b *scripted) CreateProducer(_ context.Context, r *pb.ProducerRequest) (*pb.ProducerResponse, error) {
	b.cluster.set(func() {
		if !slices.Contains(b.cluster.topics, r.GetTopicName()) {
			b.cluster.topics = append(b.cluster.topics, r.GetTopicName())
		}
	})
	return &pb.ProducerResponse{ProducerId: 1}, nil
}

func (b *scripted) SendMessage(_ context.Context, m *pb.StreamMessage) (*pb.MessageResponse, error) {
	return &pb.MessageResponse{RequestId: m.GetRequestId()}, nil
}

func (b *scripted) Subscribe(_ context.Context, r *pb.ConsumerRequest) (*pb.ConsumerResponse, error) {
	b.cluster.set(func() { b.cluster.subscribed = append(b.cluster.subscribed, r.GetTopicName()) })
	return &pb.ConsumerResponse{ConsumerId: 1}, nil
}

// ReceiveMessages delivers one message and then nothing.
func (b *scripted) ReceiveMessages(_ *pb.ReceiveRequest, stream grpc.ServerStreamingServer[pb.StreamMessage]) error {
	if err := stream.Send(&pb.StreamMessage{MsgId: &pb.MsgID{}, ProducerName: "p"}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return status.FromContextError(stream.Context().Err()).Err()
}

func (b *scripted) Ack(_ context.Context, r *pb.AckRequest) (*pb.AckResponse, error) {
	return &pb.AckResponse{RequestId: r.GetRequestId()}, nil
}

// A method of the broker as it is in [seen].
const (
	seenLookup     = "Discovery/TopicLookup"
	seenPartitions = "Discovery/TopicPartitions"
	seenCreate     = "ProducerService/CreateProducer"
	seenSend       = "ProducerService/SendMessage"
	seenSubscribe  = "ConsumerService/Subscribe"
	seenReceive    = "ConsumerService/ReceiveMessages"
	seenAck        = "ConsumerService/Ack"
)

// moved is the answer of brokers to whoever publishes to a topic that has left them.
var moved = status.Error(codes.PermissionDenied, publishing+": topic is draining or closed")
