package danube

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
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

	standing standing

	mu         sync.Mutex
	stop       context.CancelCauseFunc // ends the present session; nil between sessions
	lastID     uint64                  // the broker's id of this consumer, of the present session or the one before
	known      bool                    // lastID is set
	route      route                   // of the present session
	opened     time.Time               // when the present stream was opened; zero between sessions
	ended      time.Time               // when the last one ended
	healthy    time.Time               // when the broker said last that it sees the stream
	unanswered time.Time               // since when Subscribe hangs although lookups are answered

	suspect bool // the broker may have lost the last stream long before it ended here

	unread   bool // the stream of unreadID was never opened, as far as is known
	unreadID uint64

	names int // given up, of a Key-Shared consumer; only run uses it
}

func newSubscription(k *Consumer, partition int) *subscription {
	s := &subscription{consumer: k, partition: partition, topic: nameOf(k.settings.Topic, partition)}
	s.acker = &acker{
		topic: s.topic, subscription: k.settings.Subscription, memory: &k.memory, kick: s.end, relieve: k.relieve,
		entries: make(map[uint64]*entry), ordered: k.settings.Type == Exclusive || k.settings.Type == Failover,
	}
	s.health.set(errors.New("subscribing to " + s.topic))
	s.standing.now = SubscriptionState{Topic: k.settings.Topic, Partition: partition, Since: time.Now()}
	return s
}

// run keeps a session going until ctx is done or the broker refuses for good.
func (s *subscription) run(ctx context.Context) {
	log := s.consumer.client.log.With(zap.String("topic", s.topic), zap.String("subscription", s.consumer.settings.Subscription))
	for try, idle := 1, 0; ; try++ {
		if s.consumer.gate.wait(ctx) != nil {
			return
		}
		start := time.Now()
		opened, err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.consumer.gate.reason() != nil {
			try = 0
			s.health.set(errors.New("subscribing to " + s.topic))
			continue // paused: the gate says when to go on
		}
		s.health.set(err)
		s.consumer.poke()
		if IsPermanent(err) {
			s.consumer.fail(err)
			return
		}
		if time.Since(start) > steady || errors.Is(err, errAgain) {
			try = 1
		}
		delay := reconnect.Delay(try)
		if idle = s.idleSessions(idle, opened, start); idle > 1 {
			delay = max(delay, reopen.Delay(idle-1))
		}
		log.Warn("stream lost, subscribing again", zap.Int("try", try), zap.Duration("in", delay), zap.Error(err))
		if backoff.Sleep(ctx, delay) != nil {
			return
		}
	}
}

// reopen paces streams that end before they delivered anything. On the real broker each takes four of 32 places in a queue that may not
// be emptied before the next publish; when it is full Subscribe hangs.
var reopen = backoff.Policy{Base: 400 * time.Millisecond, Max: 2 * time.Minute}

// idleSessions counts the sessions in a row, the last of them begun at start, that were opened and delivered nothing.
func (s *subscription) idleSessions(before int, opened bool, start time.Time) int {
	s.acker.mu.Lock()
	defer s.acker.mu.Unlock()
	switch {
	case !s.acker.lastDelivery.Before(start):
		return 0
	case opened:
		return before + 1
	}
	return before
}

// session subscribes, opens the stream at once (a subscribed consumer without a stream stops its subscription) and reads until it
// ends. The error says why it did, opened whether it had begun.
func (s *subscription) session(ctx context.Context) (opened bool, _ error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.setStop(cancel)
	defer s.setStop(nil)
	stopWatching := s.consumer.gate.onClose(cancel)
	defer stopWatching()

	r, id, err := s.subscribe(ctx)
	if isTimeout(err) && s.unread {
		// A consumer without a stream stops its subscription, and once that has filled the broker's queue Subscribe hangs. Opening the stream
		// still helps.
		id, err = s.unreadID, nil
	}
	if err == nil && s.evicted(id) {
		r, id, err = s.rename(ctx, r, id)
	}
	if err != nil {
		return false, s.cause(ctx, wrap(opSubscribe, s.topic, err))
	}
	s.unread, s.unreadID = true, id
	stream, err := openStream(ctx, r, id)
	if err != nil {
		return true, s.cause(ctx, wrap(opReceive, s.topic, err))
	}
	s.attached(r, id)
	err = s.cause(ctx, s.read(stream))
	if header, _ := stream.Header(); header != nil {
		s.unread = false
	}
	s.detached(err)
	return true, err
}

func (s *subscription) subscribe(ctx context.Context) (route, uint64, error) {
	r, err := s.consumer.client.lookup(ctx, s.topic)
	if err != nil {
		return route{}, 0, err
	}
	begun := time.Now()
	callCtx, cancel := context.WithTimeout(r.context(ctx), callTimeout)
	defer cancel()
	resp, err := pb.NewConsumerServiceClient(r.conn).Subscribe(callCtx, &pb.ConsumerRequest{
		RequestId:        1,
		TopicName:        s.topic,
		ConsumerName:     s.name(),
		Subscription:     s.consumer.settings.Subscription,
		SubscriptionType: s.consumer.settings.Type.wire(),
		KeyFilters:       s.consumer.settings.KeyFilters,
	})
	s.answered(begun, err)
	if status.Code(err) == codes.NotFound && s.consumer.settings.CreateTopic && s.partition < 0 {
		err = errors.Join(err, s.consumer.create(ctx)) // a broker that lost its memory; the next try finds the topic
	}
	return r, resp.GetConsumerId(), err
}

// name is the consumer's for the next session.
func (s *subscription) name() string {
	if s.names == 0 {
		return s.consumer.settings.Name
	}
	return s.consumer.settings.Name + "-" + strconv.Itoa(s.names)
}

const methodReceive = "/danube.ConsumerService/ReceiveMessages"

// openStream begins to receive what the broker has for consumer id.
func openStream(ctx context.Context, r route, id uint64) (grpc.ClientStream, error) {
	stream, err := r.conn.NewStream(r.context(ctx), &grpc.StreamDesc{ServerStreams: true}, methodReceive, grpc.ForceCodecV2(encoded{}))
	if err != nil {
		return nil, err
	}
	request, err := proto.Marshal(&pb.ReceiveRequest{RequestId: 1, ConsumerId: id})
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return nil, err // io.EOF: the answer says why
	}
	return stream, stream.CloseSend()
}

// read takes messages until the stream ends. It never waits for whoever takes them from the queue: a reader that stops would block
// every publisher of the topic.
func (s *subscription) read(stream grpc.ClientStream) error {
	d := decoder{topic: s.consumer.settings.Topic, partition: s.partition}
	take := func(b []byte) error {
		m, err := d.decode(b)
		if err != nil {
			return err
		}
		if e, life := s.acker.receive(&m); e != nil {
			s.consumer.queue.Push(Delivery{Message: m, Life: life, entry: e})
		}
		return nil
	}
	for {
		err := stream.RecvMsg(take)
		if errors.Is(err, io.EOF) {
			// A clean end is normal: another consumer of this name took over, or the topic moves.
			return &Error{Op: opReceive, Topic: s.topic, Code: codes.OK, Text: "the broker ended the stream"}
		}
		if err != nil {
			return wrap(opReceive, s.topic, err)
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
