package bench

import (
	"context"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/bench/internal/framer"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

const (
	sendPath    = "/danube.ProducerService/SendMessage"
	ackPath     = "/danube.ConsumerService/Ack"
	receivePath = "/danube.ConsumerService/ReceiveMessages"
)

// BenchmarkBrokerPublish publishes as fast as the wire allows, and through grpc-go beside it.
func BenchmarkBrokerPublish(b *testing.B) {
	b.Run("framer", func(b *testing.B) {
		p := newPublisher(b, 512, danubetest.Start(b, danubetest.History(0)))
		b.ResetTimer()
		p.publish(b, b.N)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
	b.Run("grpc-go", func(b *testing.B) {
		broker := danubetest.Start(b, danubetest.History(0))
		b.ResetTimer()
		publish(b, broker.URL(), b.N)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
}

// A publisher keeps publishes of one producer in flight, as fast as the wire allows.
type publisher struct {
	framer   *framer.Framer
	message  []byte
	inFlight int64
	sent     int64
	answered atomic.Int64
	progress chan struct{} // holds a token when answers have come
	failed   chan error
}

func newPublisher(b *testing.B, inFlight int, broker *danubetest.Broker) *publisher {
	b.Helper()
	message := encodedMessage(b, broker)
	f, err := framer.Dial(hostPort(broker))
	must(b, err)
	p := &publisher{framer: f, message: message, inFlight: int64(inFlight), progress: make(chan struct{}, 1), failed: make(chan error, 1)}
	go func() {
		p.failed <- f.Answers(func() {
			p.answered.Add(1)
			select {
			case p.progress <- struct{}{}:
			default:
			}
		}, func([]byte) {})
	}()
	b.Cleanup(func() { f.Close() })
	return p
}

// publish sends n messages and waits until all are answered.
func (p *publisher) publish(b *testing.B, n int) time.Duration {
	b.Helper()
	start := time.Now()
	for range n {
		p.await(b, p.inFlight-1)
		must(b, p.framer.Call(sendPath, p.message))
		p.sent++
	}
	p.await(b, 0)
	return time.Since(start)
}

// await returns when at most so many publishes are unanswered; the server sees all of them before anybody waits.
func (p *publisher) await(b *testing.B, atMost int64) {
	for p.sent-p.answered.Load() > atMost {
		must(b, p.framer.Flush())
		select {
		case <-p.progress:
		case err := <-p.failed:
			b.Fatal(err)
		}
	}
}

// BenchmarkBrokerConsume reads and acknowledges a backlog as fast as the wire allows.
func BenchmarkBrokerConsume(b *testing.B) {
	broker := danubetest.Start(b, danubetest.Window(10_000), danubetest.Memory(8<<30), danubetest.History(0))
	conn := dialBroker(b, broker)
	producers, consumers := danubepb.NewProducerServiceClient(conn), danubepb.NewConsumerServiceClient(conn)
	_, err := producers.CreateProducer(b.Context(), &danubepb.ProducerRequest{ProducerName: "first", TopicName: topic, DispatchStrategy: danubepb.DispatchStrategy_Reliable})
	must(b, err)
	resp, err := consumers.Subscribe(b.Context(), &danubepb.ConsumerRequest{TopicName: topic, Subscription: "s", ConsumerName: "c"})
	must(b, err)
	publish(b, broker.URL(), b.N)

	f, err := framer.Dial(hostPort(broker))
	must(b, err)
	defer f.Close()
	request, err := proto.Marshal(&danubepb.ReceiveRequest{ConsumerId: resp.GetConsumerId()})
	must(b, err)
	arrived, finished := make(chan uint64, b.N), make(chan error, 1)
	acked := int64(0)
	messages := messageSplitter{take: func(m []byte) { arrived <- offsetOf(m) }}
	b.ResetTimer()
	go func() {
		finished <- f.Answers(func() {
			if atomic.AddInt64(&acked, 1) == int64(b.N) {
				f.Close()
			}
		}, messages.add)
	}()
	must(b, f.Call(receivePath, request))
	for range b.N {
		var offset uint64
		select {
		case offset = <-arrived:
		default:
			must(b, f.Flush())
			offset = <-arrived
		}
		ack, err := proto.Marshal(&danubepb.AckRequest{MsgId: &danubepb.MsgID{TopicName: topic, TopicOffset: offset}, SubscriptionName: "s"})
		must(b, err)
		must(b, f.Call(ackPath, ack))
	}
	must(b, f.Flush())
	<-finished
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	if n := broker.Unacked(topic, "s"); n != 0 {
		b.Fatalf("%d messages are not acknowledged", n)
	}
}

func hostPort(b *danubetest.Broker) string { return strings.TrimPrefix(b.URL(), "http://") }

func dialBroker(b *testing.B, broker *danubetest.Broker) *grpc.ClientConn {
	b.Helper()
	conn, err := grpc.NewClient(hostPort(broker), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(b, err)
	b.Cleanup(func() { conn.Close() })
	return conn
}

// encodedMessage registers a producer and gives the bytes of a message of its.
func encodedMessage(b *testing.B, broker *danubetest.Broker) []byte {
	b.Helper()
	resp, err := danubepb.NewProducerServiceClient(dialBroker(b, broker)).CreateProducer(context.Background(), &danubepb.ProducerRequest{
		ProducerName: "p", TopicName: topic, DispatchStrategy: danubepb.DispatchStrategy_Reliable,
	})
	must(b, err)
	message, err := proto.Marshal(&danubepb.StreamMessage{
		MsgId:   &danubepb.MsgID{ProducerId: resp.GetProducerId(), TopicName: topic},
		Payload: make([]byte, payload), PublishTime: uint64(time.Now().UnixMilli()), ProducerName: "p",
	})
	must(b, err)
	return message
}

// A messageSplitter cuts the bodies of answers into gRPC messages and passes on those of a receive stream: the answers to
// acknowledgements are empty, or nearly.
type messageSplitter struct {
	rest []byte
	take func([]byte)
}

func (s *messageSplitter) add(data []byte) {
	if len(s.rest) == 0 && len(data) < 64 {
		return // an answer to an acknowledgement comes in one piece
	}
	s.rest = append(s.rest, data...)
	for len(s.rest) >= 5 {
		n := 5 + int(binary.BigEndian.Uint32(s.rest[1:]))
		if len(s.rest) < n {
			return
		}
		s.take(s.rest[5:n])
		s.rest = s.rest[n:]
	}
}

// offsetOf finds msg_id.topic_offset without decoding the rest.
func offsetOf(m []byte) uint64 {
	id := field(m, 2)
	v, n := protowire.ConsumeVarint(field(id, 5))
	if n < 0 {
		return 0 // proto3 leaves out a zero
	}
	return v
}

// field gives the bytes of a message's field, of a varint its own encoding.
func field(m []byte, number protowire.Number) []byte {
	for len(m) > 0 {
		num, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return nil
		}
		m = m[n:]
		size := protowire.ConsumeFieldValue(num, kind, m)
		if size < 0 {
			return nil
		}
		if num == number {
			if kind == protowire.BytesType {
				v, _ := protowire.ConsumeBytes(m)
				return v
			}
			return m[:size]
		}
		m = m[size:]
	}
	return nil
}
