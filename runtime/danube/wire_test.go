package danube

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

func randomMessage(r *rand.Rand) Message {
	text := func() string {
		b := make([]byte, r.IntN(20))
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		return string(b)
	}
	m := Message{Topic: "/a/b", Partition: r.IntN(3) - 1, Offset: r.Uint64() >> r.IntN(64), Producer: text(), requestID: r.Uint64() >> r.IntN(64)}
	m.PublishTime = time.UnixMilli(r.Int64N(4e12))
	m.Payload = []byte(text())
	if r.IntN(2) == 0 {
		m.Key = text()
	}
	if r.IntN(2) == 0 {
		m.SchemaID, m.SchemaVersion = r.Uint64()|1, r.Uint32()
	}
	for range r.IntN(4) {
		if m.Attributes == nil {
			m.Attributes = make(map[string]string)
		}
		m.Attributes[text()] = text()
	}
	return m
}

// What the client writes is what generated code reads, and the reverse.
func TestHandWrittenMessagesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		m := randomMessage(r)
		id := msgID{producer: r.Uint64(), topic: "/a/b-part-1", broker: "http://b:1", offset: m.Offset}
		want := &pb.StreamMessage{
			RequestId: m.requestID, MsgId: &pb.MsgID{ProducerId: id.producer, TopicName: id.topic, BrokerAddr: id.broker, TopicOffset: id.offset},
			Payload: m.Payload, PublishTime: uint64(m.PublishTime.UnixMilli()), ProducerName: m.Producer, Attributes: m.Attributes,
		}
		if m.Key != "" {
			want.RoutingKey = &m.Key
		}
		if m.SchemaID != 0 {
			want.SchemaId, want.SchemaVersion = &m.SchemaID, &m.SchemaVersion
		}
		got := &pb.StreamMessage{}
		require.NoError(t, proto.Unmarshal(appendSend(nil, &m, &id, m.requestID, m.Producer), got))
		require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))

		b, err := proto.Marshal(want)
		require.NoError(t, err)
		back, err := (&decoder{topic: m.Topic, partition: m.Partition, producer: "another"}).decode(b)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(m, back, cmp.AllowUnexported(Message{}), cmpopts.EquateEmpty()))
	}
}

func TestAckAndNackAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	id := msgID{topic: "/a/b", broker: "http://b:1", offset: 300}
	wantID := &pb.MsgID{TopicName: "/a/b", BrokerAddr: "http://b:1", TopicOffset: 300}
	ack := &pb.AckRequest{}
	require.NoError(t, proto.Unmarshal(appendAck(nil, &id, 5, "s"), ack))
	require.Empty(t, cmp.Diff(&pb.AckRequest{RequestId: 5, MsgId: wantID, SubscriptionName: "s"}, ack, protocmp.Transform()))
	nack, delay, reason := &pb.NackRequest{}, uint64(1500), "why"
	require.NoError(t, proto.Unmarshal(appendNack(nil, &id, 5, "s", 1500*time.Millisecond, "why"), nack))
	want := &pb.NackRequest{RequestId: 5, MsgId: wantID, SubscriptionName: "s", DelayMs: &delay, Reason: &reason}
	require.Empty(t, cmp.Diff(want, nack, protocmp.Transform()))
}

func FuzzDecode(f *testing.F) {
	b, err := proto.Marshal(&pb.StreamMessage{MsgId: &pb.MsgID{TopicOffset: 1}, Payload: []byte("x"), Attributes: map[string]string{"a": "b"}})
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := (&decoder{}).decode(b)
		want := &pb.StreamMessage{}
		if proto.Unmarshal(b, want) != nil || err != nil {
			return
		}
		if m.Offset != want.GetMsgId().GetTopicOffset() || string(m.Payload) != string(want.GetPayload()) {
			t.Fatalf("%v is read as %v", want, m)
		}
	})
}
