package danubetest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// consumers answers the reading side.
type consumers struct {
	danubepb.UnimplementedConsumerServiceServer
	broker *Broker
}

func (s consumers) Subscribe(ctx context.Context, req *danubepb.ConsumerRequest) (*danubepb.ConsumerResponse, error) {
	if !validTopic(req.GetTopicName()) {
		return nil, errBadTopic(req.GetTopicName())
	}
	t := s.broker.topic(req.GetTopicName())
	if t == nil {
		return nil, errNoTopic(req.GetTopicName())
	}
	if !t.ready() {
		return nil, errElsewhere(t.name)
	}
	c, err := t.subscribe(ctx, req, connOf(ctx))
	if err != nil {
		return nil, err
	}
	return &danubepb.ConsumerResponse{RequestId: req.GetRequestId(), ConsumerId: c.id, ConsumerName: c.name}, nil
}

func (s consumers) ReceiveMessages(req *danubepb.ReceiveRequest, ss grpc.ServerStreamingServer[danubepb.StreamMessage]) error {
	st := &stream{ctx: ss.Context(), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	var c *consumer
	err := elsewhere(func() (err error) {
		c, err = s.open(req.GetConsumerId(), st, ss)
		return err
	})
	if err != nil {
		return err
	}
	defer c.closed(st)
	for {
		select {
		case <-st.ended:
			return st.err
		case <-st.ctx.Done():
			return status.FromContextError(st.ctx.Err()).Err()
		case <-st.wake:
		}
		if err := elsewhere(func() error { return c.drain(st, ss) }); err != nil {
			return err
		}
	}
}

// open makes st the stream of a consumer.
func (s consumers) open(id uint64, st *stream, ss grpc.ServerStream) (*consumer, error) {
	c := s.broker.ids.consumer(id)
	if c == nil {
		return nil, errNoConsumer(id)
	}
	if err := s.broker.cutOff(st.ctx, []string{c.name}); err != nil {
		return nil, err
	}
	if err := c.open(st.ctx, st); err != nil {
		return nil, err
	}
	// Clients take the headers as the sign that the stream is open.
	if err := ss.SendHeader(metadata.MD{}); err != nil {
		c.closed(st)
		return nil, err
	}
	return c, nil
}

// drain sends what is in the outbox. It keeps nothing, so that a stream that waits is small.
func (c *consumer) drain(st *stream, ss grpc.ServerStreamingServer[danubepb.StreamMessage]) error {
	send := sendAll
	if c.sub.topic.broker.settings.traps.has(trickling) {
		send = sendThrough
	}
	for batch := c.take(st, nil); len(batch) > 0; batch = c.take(st, batch[:0]) {
		if err := send(st, ss, batch); err != nil {
			return err
		}
	}
	return nil
}

// sendAll sends a batch, or as much of it as comes before the broker ends the stream.
func sendAll(st *stream, ss grpc.ServerStreamingServer[danubepb.StreamMessage], batch []stored) error {
	for _, m := range batch {
		select {
		case <-st.ended:
			return nil // the caller finds the reason
		default:
		}
		if err := ss.Send(m.msg); err != nil {
			return err
		}
	}
	clear(batch)
	return nil
}

func (s consumers) Ack(ctx context.Context, req *danubepb.AckRequest) (*danubepb.AckResponse, error) {
	id := req.GetMsgId()
	if id == nil {
		return nil, errNoMsgID
	}
	t := s.broker.topic(id.GetTopicName())
	if t == nil {
		return nil, status.Errorf(codes.Internal, "Error acknowledging message: topic %s not found", id.GetTopicName())
	}
	if err := t.ack(ctx, req.GetSubscriptionName(), id.GetTopicOffset()); err != nil {
		return nil, callError("Error acknowledging message", err)
	}
	return &danubepb.AckResponse{RequestId: req.GetRequestId()}, nil
}

func (s consumers) Nack(ctx context.Context, req *danubepb.NackRequest) (*danubepb.NackResponse, error) {
	id := req.GetMsgId()
	if id == nil {
		return nil, errNoMsgID
	}
	t := s.broker.topic(id.GetTopicName())
	if t == nil {
		return nil, status.Errorf(codes.Internal, "Error negatively acknowledging message: topic %s not found", id.GetTopicName())
	}
	if err := t.nack(ctx, req.GetSubscriptionName(), id.GetTopicOffset(), millis(req.GetDelayMs()), req.GetReason()); err != nil {
		return nil, callError("Error negatively acknowledging message", err)
	}
	return &danubepb.NackResponse{RequestId: req.GetRequestId()}, nil
}

// callError is INTERNAL with what was wrong, but for the caller's own deadline.
func callError(what string, err error) error {
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	return status.Errorf(codes.Internal, "%s: %v", what, err)
}
