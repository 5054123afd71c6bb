package danube

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// ProducerSettings says what a producer sends to.
type ProducerSettings struct {
	// Topic has the form /namespace/topic and is created when it does not exist.
	Topic string
	// Name shows up in the broker's metrics; two producers of one name on a topic share one identity there.
	Name string
	// Partitions is the number of partitions; 0 is a plain topic. It must be what the topic already has.
	Partitions int
	// Reliable is the topic's dispatch strategy, which must match when it exists.
	Reliable bool
	// InFlight is how many publishes may overlap on one partition; 0 means 1. More than one reorders deliveries, and on the real
	// broker it loses messages for slow readers and can end for good subscriptions that were resumed after a restart.
	InFlight int
	// Schema is the schema of all messages that do not name one themselves; the zero value is none. It is looked up whenever the producer
	// registers, before it creates a topic. The first producer with a subject makes it the topic's.
	Schema SchemaReference
}

// A Producer sends messages to one topic. Its methods may be called concurrently.
type Producer struct {
	client   *Client
	settings ProducerSettings
	lanes    []*producerLane
	next     atomic.Uint64 // round robin of messages without key
}

// NewProducer makes a producer; it registers with the broker at the first Send or at [Producer.Register].
func (c *Client) NewProducer(s ProducerSettings) (*Producer, error) {
	if err := CheckTopic(s.Topic); err != nil {
		return nil, err
	}
	if s.Partitions < 0 || s.InFlight < 0 {
		return nil, errors.New("partitions and publishes in flight must not be negative")
	}
	if s.Name == "" {
		return nil, errors.New("a producer needs a name")
	}
	if err := s.Schema.check(); err != nil {
		return nil, err
	}
	p := &Producer{client: c, settings: s}
	lane := func(topic, name string) *producerLane {
		return &producerLane{producer: p, topic: topic, name: name, slots: make(chan struct{}, max(s.InFlight, 1))}
	}
	if s.Partitions == 0 {
		p.lanes = []*producerLane{lane(s.Topic, s.Name)}
	}
	for i := range s.Partitions {
		p.lanes = append(p.lanes, lane(PartitionName(s.Topic, i), s.Name+"-"+strconv.Itoa(i)))
	}
	return p, nil
}

// Register creates the topic and its partitions where they are missing, so that consumers find them. It retries until ctx is done
// or an error is permanent. Send does the same when needed.
func (p *Producer) Register(ctx context.Context) error {
	for _, l := range p.lanes {
		if _, err := l.attached(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Partition picks the partition of a message with this key, from 0: by hash, as all official clients do, or in turn when key is
// empty.
func (p *Producer) Partition(key string) int {
	if key != "" {
		return keyPartition(key, len(p.lanes))
	}
	return int((p.next.Add(1) - 1) % uint64(len(p.lanes)))
}

// Send publishes m to the partition that [Producer.Partition] picks for its key and returns nil once the broker has confirmed it.
//
// It retries until ctx is done; then the message may or may not have been stored. A permanent error ([IsPermanent]) means that
// the broker will never take this message.
func (p *Producer) Send(ctx context.Context, m Message) error {
	return p.SendTo(ctx, p.Partition(m.Key), m)
}

// SendTo is Send with the partition, from 0, chosen by the caller.
func (p *Producer) SendTo(ctx context.Context, partition int, m Message) error {
	l := p.lanes[partition]
	if n := m.Size(); n > maxMessageBytes-headRoom {
		text := fmt.Sprintf("payload, key and attributes of %d bytes exceed the %d that the broker's transport takes", n, maxMessageBytes-headRoom)
		return &Error{Op: opSend, Topic: l.topic, Code: codes.InvalidArgument, Text: text, Permanent: true}
	}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.send(ctx, m.toWire())
}

// Health is nil while the last call to the broker worked, else what went wrong.
func (p *Producer) Health() error {
	for _, l := range p.lanes {
		if err := l.health.get(); err != nil {
			return err
		}
	}
	return nil
}

// A producerLane is the producer of one partition.
type producerLane struct {
	producer *Producer
	topic    string // with partition suffix
	name     string
	slots    chan struct{}
	health   health
	requests atomic.Uint64

	mu sync.Mutex
	at *attachment // nil until registered and after the broker forgot it
}

// An attachment is a registered producer: its id counts only on the broker that gave it.
type attachment struct {
	route  route
	id     uint64
	schema schemaKey // of messages that name none
}

// send publishes w, registering again as often as the broker forgets the producer.
func (l *producerLane) send(ctx context.Context, w *pb.StreamMessage) error {
	w.RequestId = l.requests.Add(1)
	w.ProducerName = l.name
	unnamed := w.SchemaId == nil
	for try := 1; ; try++ {
		at, err := l.attached(ctx)
		if err != nil {
			return err
		}
		if unnamed {
			at.schema.stamp(w)
		}
		w.MsgId = &pb.MsgID{ProducerId: at.id, TopicName: l.topic, BrokerAddr: at.route.brokerURL}
		callCtx, cancel := context.WithTimeout(at.route.context(ctx), sendTimeout)
		_, err = pb.NewProducerServiceClient(at.route.conn).SendMessage(callCtx, w)
		cancel()
		if err == nil {
			l.health.set(nil)
			return nil
		}
		if err := l.failed(ctx, opSend, try, err, at); err != nil {
			return err
		}
	}
}

// attached registers the producer unless it is.
func (l *producerLane) attached(ctx context.Context) (*attachment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at != nil {
		return l.at, nil
	}
	for try := 1; ; try++ {
		at, err := l.register(ctx)
		if err == nil {
			l.at = at
			l.health.set(nil)
			return at, nil
		}
		if err := l.retry(ctx, opCreate, try, err); err != nil {
			return nil, err
		}
	}
}

func (l *producerLane) register(ctx context.Context) (*attachment, error) {
	schema, err := l.producer.schema(ctx)
	if err != nil {
		return nil, err
	}
	r, err := l.producer.client.lookup(ctx, l.topic)
	if err != nil {
		return nil, err
	}
	callCtx, cancel := context.WithTimeout(r.context(ctx), callTimeout)
	defer cancel()
	strategy := pb.DispatchStrategy_NonReliable
	if l.producer.settings.Reliable {
		strategy = pb.DispatchStrategy_Reliable
	}
	resp, err := pb.NewProducerServiceClient(r.conn).CreateProducer(callCtx, &pb.ProducerRequest{
		RequestId: l.requests.Add(1), ProducerName: l.name, TopicName: l.topic, DispatchStrategy: strategy,
		SchemaRef: l.producer.settings.Schema.wire(),
	})
	if err != nil {
		return nil, err
	}
	return &attachment{route: r, id: resp.GetProducerId(), schema: schema}, nil
}

// failed decides what follows a failed call on at: nil means that the caller tries again, after the wait that failed has made.
func (l *producerLane) failed(ctx context.Context, op string, try int, err error, at *attachment) error {
	if classify(op, err) == reattach {
		l.mu.Lock()
		if l.at == at { // else another send has registered again already
			l.at = nil
		}
		l.mu.Unlock()
	}
	return l.retry(ctx, op, try, err)
}

// retry waits before try number try+1; it returns an error when there must be none.
func (l *producerLane) retry(ctx context.Context, op string, try int, err error) error {
	var typed *Error
	if !errors.As(err, &typed) {
		err = wrap(op, l.topic, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.health.set(err)
	// "already exists" also answers those who lost a race to create the topic; the next try finds it then.
	lostRace := errors.As(err, &typed) && typed.Code == codes.AlreadyExists && try < 3
	if IsPermanent(err) && !lostRace {
		return err
	}
	l.producer.client.log.Warn("publishing waits for the broker", zap.String("topic", l.topic), zap.Int("try", try), zap.Error(err))
	return reconnect.Wait(ctx, try)
}

// health is the outcome of the newest call, for those who ask.
type health struct {
	mu  sync.Mutex
	err error
}

func (h *health) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *health) get() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
