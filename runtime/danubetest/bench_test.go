package danubetest_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// BenchmarkPublishConsumeAck publishes 1 KiB messages with 64 in flight while one Exclusive consumer reads them and acknowledges
// with 64 in flight, all through grpc-go over loopback. The figure is messages that made the whole way.
func BenchmarkPublishConsumeAck(b *testing.B) {
	c := start(b, danubetest.Window(1000), danubetest.History(0))
	consumer := connect(b, c.broker)
	p := c.producer(orders, "p", reliable)
	id := consumer.subscribe(orders, "s", "c", exclusive)
	stream, err := consumer.ReceiveMessages(b.Context(), &danubepb.ReceiveRequest{ConsumerId: id})
	if err != nil {
		b.Fatal(err)
	}
	payload := bytes.Repeat([]byte("x"), 1<<10)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.ResetTimer()

	var all sync.WaitGroup
	publishAll(b, &all, c, p, payload)
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
	publishAll(b, &all, c, p, payload)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// publishAll publishes b.N messages from 64 goroutines.
func publishAll(b *testing.B, all *sync.WaitGroup, c *client, p *sender, payload []byte) {
	const senders = 64
	for i := range senders {
		n := b.N / senders
		if i < b.N%senders {
			n++
		}
		all.Go(func() {
			m := &danubepb.StreamMessage{
				MsgId:        &danubepb.MsgID{ProducerId: p.id, TopicName: orders, BrokerAddr: c.broker.URL()},
				Payload:      payload,
				ProducerName: p.name,
			}
			for range n {
				if _, err := c.SendMessage(context.Background(), m); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
}
