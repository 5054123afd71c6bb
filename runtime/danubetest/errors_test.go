package danubetest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func (c *client) health(kind danubepb.HealthCheckRequest_ClientType, id uint64) danubepb.HealthCheckResponse_ClientStatus {
	c.t.Helper()
	resp, err := c.HealthCheck(c.ctx, &danubepb.HealthCheckRequest{Client: kind, Id: id})
	require.NoError(c.t, err)
	return resp.GetStatus()
}

func TestDB36HealthFromTheBeginning(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	require.Equal(t, danubepb.HealthCheckResponse_OK, c.health(danubepb.HealthCheckRequest_Producer, p.id))
	id := c.subscribe(orders, "s", "c", exclusive)
	require.Equal(t, danubepb.HealthCheckResponse_OK, c.health(danubepb.HealthCheckRequest_Consumer, id))
	r := c.receive(orders, "s", id)
	require.Equal(t, danubepb.HealthCheckResponse_OK, c.health(danubepb.HealthCheckRequest_Consumer, id))
	r.close()
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Consumer, id))
	c.subscribe(orders, "s", "c", exclusive)
	require.Equal(t, danubepb.HealthCheckResponse_OK, c.health(danubepb.HealthCheckRequest_Consumer, id))
}

func TestDB43AcksOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.producer(orders, "p", reliable)
	c.consume(orders, "s", "c", exclusive)
	tests := map[string]struct {
		id   *danubepb.MsgID
		sub  string
		code codes.Code
		text string
	}{
		"unknown offset":       {&danubepb.MsgID{TopicName: orders, TopicOffset: 99}, "s", codes.OK, ""},
		"unknown subscription": {&danubepb.MsgID{TopicName: orders}, "t", codes.Internal, "acknowledging message"},
		"unknown topic":        {&danubepb.MsgID{TopicName: "/default/none"}, "s", codes.Internal, "acknowledging message"},
		"no message id":        {nil, "s", codes.InvalidArgument, "msg_id is required"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := c.Ack(c.ctx, &danubepb.AckRequest{MsgId: tt.id, SubscriptionName: tt.sub})
			requireStatus(t, err, tt.code, tt.text)
			_, err = c.Nack(c.ctx, &danubepb.NackRequest{MsgId: tt.id, SubscriptionName: tt.sub})
			requireStatus(t, err, tt.code, tt.text)
		})
	}
}

func TestDB44UnknownIDs(t *testing.T) {
	t.Parallel()
	c := start(t)
	stream, err := c.ReceiveMessages(c.ctx, &danubepb.ReceiveRequest{ConsumerId: 1})
	require.NoError(t, err)
	_, err = stream.Recv()
	requireStatus(t, err, codes.NotFound, "The consumer with the id 1 does not exist")
	_, err = c.SendMessage(c.ctx, &danubepb.StreamMessage{MsgId: &danubepb.MsgID{ProducerId: 1, TopicName: orders}})
	requireStatus(t, err, codes.NotFound, "The producer with id 1 does not exist")
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Producer, 1))
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Consumer, 1))
	_, err = c.HealthCheck(c.ctx, &danubepb.HealthCheckRequest{Client: 5})
	requireStatus(t, err, codes.InvalidArgument, "unknown client type")
}

func TestDB44SendErrors(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	c.producer(ticks, "p", nonReliable)
	send := func(change func(*danubepb.StreamMessage)) error {
		m := p.message("x")
		change(m)
		_, err := c.SendMessage(c.ctx, m)
		return err
	}
	requireStatus(t, send(func(m *danubepb.StreamMessage) { m.MsgId = nil }), codes.InvalidArgument, "msg_id is required")
	requireStatus(t, send(func(m *danubepb.StreamMessage) { m.MsgId.TopicName = "/default/none" }),
		codes.PermissionDenied, "Unable to publish the message: topic /default/none not found in registry")
	requireStatus(t, send(func(m *danubepb.StreamMessage) { m.MsgId.TopicName = ticks }),
		codes.PermissionDenied, "not attached to topic name")
	require.Equal(t, 0, c.broker.Published(orders))

	_, err := c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: orders})
	require.NoError(t, err)
	requireStatus(t, send(func(*danubepb.StreamMessage) {}), codes.NotFound, "The producer with id")
}

func TestDB48TheLimitIsFourMiB(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	big := strings.Repeat("x", 4<<20-200)
	p.send(big)
	r.consumeAll(big)
	_, err := c.SendMessage(c.ctx, p.message(strings.Repeat("x", 4<<20)))
	requireStatus(t, err, codes.OutOfRange, "the limit is: 4194304 bytes")
	p.send("m001")
	require.Equal(t, uint64(1), offset(r.expect("m001")))
}

func TestDB49ManyStreamsOnOneConnection(t *testing.T) {
	t.Parallel()
	c := start(t)
	var readers []*reader
	const topics = 150
	for i := range topics {
		topic := fmt.Sprint("/default/t", i)
		p := c.producer(topic, "p", reliable)
		readers = append(readers, c.consume(topic, "s", "c", exclusive))
		p.send("m000")
	}
	for _, r := range readers {
		r.consumeAll("m000")
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	bad := danubetest.DefaultFailurePolicy()
	bad.Poison = danubetest.DeadLetter
	for name, opt := range map[string]danubetest.Option{
		"window 0 is not within 1 to 10000":                danubetest.Window(0),
		"failure policy: dead_letter_topic is required":    danubetest.Policy(bad),
		"memory of 0 bytes is not positive":                danubetest.Memory(0),
		"history of -1 messages is negative":               danubetest.History(-1),
		`advertised URL "broker" has no scheme or no host`: danubetest.AdvertisedURL("broker"),
		"logger is nil": danubetest.Logger(nil),
	} {
		_, err := danubetest.New(opt)
		require.ErrorContains(t, err, name)
	}
}
