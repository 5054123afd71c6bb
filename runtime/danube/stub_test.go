package danube

import (
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A stub is a broker whose every answer a test decides.
type stub struct {
	pb.UnimplementedDiscoveryServer
	pb.UnimplementedProducerServiceServer
	pb.UnimplementedConsumerServiceServer

	send    func(*pb.StreamMessage) error
	receive func(*pb.ReceiveRequest, grpc.ServerStreamingServer[pb.StreamMessage]) error
	ack     func(context.Context, *pb.AckRequest) error

	mu         sync.Mutex
	subscribed int
}

func (*stub) TopicLookup(context.Context, *pb.TopicLookupRequest) (*pb.TopicLookupResponse, error) {
	return &pb.TopicLookupResponse{ResponseType: pb.TopicLookupResponse_Connect, ConnectUrl: "http://stub:1", BrokerUrl: "http://stub:1"}, nil
}

func (*stub) TopicPartitions(_ context.Context, r *pb.TopicLookupRequest) (*pb.TopicPartitionsResponse, error) {
	return &pb.TopicPartitionsResponse{Partitions: []string{r.GetTopic()}}, nil
}

func (*stub) CreateProducer(context.Context, *pb.ProducerRequest) (*pb.ProducerResponse, error) {
	return &pb.ProducerResponse{ProducerId: 1}, nil
}

func (s *stub) SendMessage(_ context.Context, m *pb.StreamMessage) (*pb.MessageResponse, error) {
	return &pb.MessageResponse{RequestId: m.GetRequestId()}, s.send(m)
}

func (s *stub) Subscribe(context.Context, *pb.ConsumerRequest) (*pb.ConsumerResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribed++
	return &pb.ConsumerResponse{ConsumerId: 1}, nil
}

func (s *stub) ReceiveMessages(r *pb.ReceiveRequest, stream grpc.ServerStreamingServer[pb.StreamMessage]) error {
	return s.receive(r, stream)
}

func (s *stub) Ack(ctx context.Context, r *pb.AckRequest) (*pb.AckResponse, error) {
	return &pb.AckResponse{RequestId: r.GetRequestId()}, s.ack(ctx, r)
}

// client serves s in memory and gives a client of it; both end with the test.
func (s *stub) client(t *testing.T) *Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	pb.RegisterDiscoveryServer(server, s)
	pb.RegisterProducerServiceServer(server, s)
	pb.RegisterConsumerServiceServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Stop
	}()
	c, err := New("http://stub:1", WithDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Stop()
		<-done
	})
	return c
}
