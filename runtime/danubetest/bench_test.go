package danubetest_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// BenchmarkPublishConsumeAck publishes 1 KiB messages with 64 in flight while one Exclusive consumer reads them and acknowledges
// with 64 in flight, all through grpc-go over loopback. The figure is messages that made the whole way; what grpc-go alone allows
// on the same machine is in [BenchmarkPublishConsumeAckStub].
func BenchmarkPublishConsumeAck(b *testing.B) {
	c := start(b, danubetest.Window(1000), danubetest.History(0))
	p := c.producer(orders, "p", reliable)
	consumer := connect(b, c.broker)
	id := consumer.subscribe(orders, "s", "c", exclusive)
	wholeWay(b, c, consumer, p, id)
}

// BenchmarkPublishConsumeAckStub does the same with a server that only passes messages on.
func BenchmarkPublishConsumeAckStub(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer(grpc.WaitForHandlers(true))
	stub := &stub{messages: make(chan *danubepb.StreamMessage, 1000)}
	danubepb.RegisterProducerServiceServer(s, stub)
	danubepb.RegisterConsumerServiceServer(s, stub)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(serving.Wait)
	b.Cleanup(s.Stop)
	conn, other := dial(b, l.Addr().String()), dial(b, l.Addr().String())
	c := newClient(b, nil, conn, conn)
	wholeWay(b, c, newClient(b, nil, other, other), &sender{c: c, topic: orders, name: "p"}, 0)
}

// stub answers at once and hands every message to the one stream that is open.
type stub struct {
	danubepb.UnimplementedProducerServiceServer
	danubepb.UnimplementedConsumerServiceServer
	messages chan *danubepb.StreamMessage
}

func (s *stub) SendMessage(_ context.Context, m *danubepb.StreamMessage) (*danubepb.MessageResponse, error) {
	s.messages <- m
	return &danubepb.MessageResponse{RequestId: m.GetRequestId()}, nil
}

func (s *stub) ReceiveMessages(_ *danubepb.ReceiveRequest, ss grpc.ServerStreamingServer[danubepb.StreamMessage]) error {
	for {
		select {
		case m := <-s.messages:
			if err := ss.Send(m); err != nil {
				return err
			}
		case <-ss.Context().Done():
			return nil
		}
	}
}

func (s *stub) Ack(_ context.Context, req *danubepb.AckRequest) (*danubepb.AckResponse, error) {
	return &danubepb.AckResponse{RequestId: req.GetRequestId()}, nil
}

// wholeWay publishes, reads and acknowledges b.N messages.
func wholeWay(b *testing.B, c, consumer *client, p *sender, id uint64) {
	stream, err := consumer.ReceiveMessages(b.Context(), &danubepb.ReceiveRequest{ConsumerId: id})
	if err != nil {
		b.Fatal(err)
	}
	payload := bytes.Repeat([]byte("x"), 1<<10)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()

	var all sync.WaitGroup
	publishAll(b, &all, p, payload)
	acks := make(chan *danubepb.MsgID, 1000)
	for range 64 {
		all.Go(func() {
			for m := range acks {
				if _, err := consumer.Ack(context.Background(), &danubepb.AckRequest{MsgId: m, SubscriptionName: "s"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		m, err := stream.Recv()
		if err != nil {
			b.Error(err)
			break
		}
		acks <- m.GetMsgId()
	}
	close(acks)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkPublish publishes 1 KiB messages with 64 in flight to a topic that nobody reads.
func BenchmarkPublish(b *testing.B) {
	c := start(b, danubetest.History(0))
	p := c.producer(orders, "p", reliable)
	payload := bytes.Repeat([]byte("x"), 1<<10)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	publishAll(b, &all, p, payload)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// publishAll publishes b.N messages from 64 goroutines.
func publishAll(b *testing.B, all *sync.WaitGroup, p *sender, payload []byte) {
	const senders = 64
	for i := range senders {
		n := b.N / senders
		if i < b.N%senders {
			n++
		}
		all.Go(func() {
			m := &danubepb.StreamMessage{
				MsgId:        &danubepb.MsgID{ProducerId: p.id, TopicName: orders, BrokerAddr: "http://127.0.0.1:6650"},
				Payload:      payload,
				ProducerName: p.name,
			}
			for range n {
				if _, err := p.c.SendMessage(context.Background(), m); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
}
