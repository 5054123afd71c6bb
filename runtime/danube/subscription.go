package danube

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// steady is how long a stream has to live before its loss is answered without a longer wait. Reopening costs the messages in flight
// one delivery each, so a stream that keeps dying must be reopened ever more slowly.
const steady = 5 * time.Second

// A subscription reads one partition for a Consumer.
type subscription struct {
	consumer  *Consumer
	partition int
	topic     string // with partition suffix
	acker     *acker
	health    health

	mu   sync.Mutex
	stop context.CancelCauseFunc // ends the present session; nil between sessions

	lastID uint64 // the broker's id of this consumer in the session before
	known  bool   // lastID is set
}

func newSubscription(k *Consumer, partition int) *subscription {
	s := &subscription{consumer: k, partition: partition, topic: nameOf(k.settings.Topic, partition)}
	s.acker = newAcker(s.topic, k.settings.Subscription, s.end)
	s.health.set(errors.New("subscribing to " + s.topic))
	return s
}

// run keeps a session going until ctx is done or the broker refuses for good.
func (s *subscription) run(ctx context.Context) {
	log := s.consumer.client.log.With(zap.String("topic", s.topic), zap.String("subscription", s.consumer.settings.Subscription))
	for try := 1; ; try++ {
		if s.consumer.gate.wait(ctx) != nil {
			return
		}
		start := time.Now()
		err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.consumer.gate.reason() != nil {
			try = 0
			continue // paused: the gate says when to go on
		}
		s.health.set(err)
		if IsPermanent(err) {
			s.consumer.fail(err)
			return
		}
		if time.Since(start) > steady {
			try = 1
		}
		log.Warn("stream lost, subscribing again", zap.Int("try", try), zap.Error(err))
		if reconnect.Wait(ctx, try) != nil {
			return
		}
	}
}

// session subscribes, opens the stream at once (a subscribed consumer without a stream stops its subscription) and reads until it
// ends. The error says why it did.
func (s *subscription) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.setStop(cancel)
	defer s.setStop(nil)
	stopWatching := s.consumer.gate.onClose(cancel)
	defer stopWatching()

	r, id, err := s.subscribe(ctx)
	if err != nil {
		return s.cause(ctx, wrapUnlessTyped(opSubscribe, s.topic, err))
	}
	stream, err := pb.NewConsumerServiceClient(r.conn).ReceiveMessages(r.context(ctx), &pb.ReceiveRequest{RequestId: 1, ConsumerId: id})
	if err != nil {
		return s.cause(ctx, wrap(opReceive, s.topic, err))
	}
	// Another id for the same name means that the broker's memory of the subscription is new: a restart or a reload of the topic.
	s.acker.opened(r, s.known && id != s.lastID)
	defer s.acker.closed()
	s.lastID, s.known = id, true
	s.health.set(nil)
	return s.cause(ctx, s.read(stream))
}

func (s *subscription) subscribe(ctx context.Context) (route, uint64, error) {
	r, err := s.consumer.client.lookup(ctx, s.topic)
	if err != nil {
		return route{}, 0, err
	}
	callCtx, cancel := context.WithTimeout(r.context(ctx), callTimeout)
	defer cancel()
	resp, err := pb.NewConsumerServiceClient(r.conn).Subscribe(callCtx, &pb.ConsumerRequest{
		RequestId:        1,
		TopicName:        s.topic,
		ConsumerName:     s.consumer.settings.Name,
		Subscription:     s.consumer.settings.Subscription,
		SubscriptionType: s.consumer.settings.Type.wire(),
	})
	if status.Code(err) == codes.NotFound && s.consumer.settings.CreateTopic && s.partition < 0 {
		err = errors.Join(err, s.consumer.create(ctx)) // a broker that lost its memory; the next try finds the topic
	}
	if err != nil {
		return route{}, 0, err
	}
	return r, resp.GetConsumerId(), nil
}

// read takes messages until the stream ends. It never waits for whoever takes them from the queue: a reader that stops would block
// every publisher of the topic.
func (s *subscription) read(stream grpc.ServerStreamingClient[pb.StreamMessage]) error {
	for {
		w, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			// A clean end is normal: another consumer of this name took over, or the topic moves.
			return &Error{Op: opReceive, Topic: s.topic, Code: codes.OK, Text: "the broker ended the stream"}
		}
		if err != nil {
			return wrap(opReceive, s.topic, err)
		}
		m := fromWire(s.consumer.settings.Topic, s.partition, w)
		if e := s.acker.receive(&m); e != nil {
			s.consumer.queue.Push(Delivery{Message: m, entry: e})
		}
	}
}

// cause prefers the reason for which the session was ended over the error that ending it brought.
func (s *subscription) cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && !errors.Is(c, context.Canceled) {
		return c
	}
	return err
}

// end ends the present session so that the next one attaches again.
func (s *subscription) end(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop(reason)
	}
}

func (s *subscription) setStop(stop context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = stop
}

func wrapUnlessTyped(op, topic string, err error) error {
	var typed *Error
	if errors.As(err, &typed) {
		return err
	}
	return wrap(op, topic, err)
}
