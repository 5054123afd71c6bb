package danubetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// BenchmarkCore is the broker's own part of a message's way, without gRPC: publish, take, acknowledge.
func BenchmarkCore(b *testing.B) {
	broker, err := New(History(0))
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	t, err := broker.createTopic("/default/orders", true)
	if err != nil {
		b.Fatal(err)
	}
	c, err := t.subscribe(b.Context(), &danubepb.ConsumerRequest{Subscription: "s", ConsumerName: "c"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	st := &stream{ctx: context.Background(), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if err := c.open(b.Context(), st); err != nil {
		b.Fatal(err)
	}
	payload := bytes.Repeat([]byte("x"), 1<<10)
	batch := make([]stored, 0, batchSize)
	b.ReportAllocs()
	begin := time.Now()
	for b.Loop() {
		m := &danubepb.StreamMessage{MsgId: &danubepb.MsgID{TopicName: t.name}, Payload: payload}
		if err := t.publish(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		for _, got := range c.take(st, batch[:0]) {
			if err := t.ack(b.Context(), "s", got.offset); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "msg/s")
}
