package danube

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// ProducerSettings says what a producer sends to.
type ProducerSettings struct {
	// Topic has the form /namespace/topic and is created when it does not exist.
	Topic string
	// Name shows up in the broker's metrics; two producers of one name on a topic share one identity there.
	Name string
	// Partitions is the number of partitions; 0 is a plain topic. It must be what the topic already has, else registering fails with
	// [ErrMismatch]; all of them are created when there are none.
	Partitions int
	// Reliable is the topic's dispatch strategy, which must match when it exists.
	Reliable bool
	// InFlight is how many publishes may overlap on one partition; 0 means 1. Messages of one key never overlap. More than one reorders
	// deliveries of different keys, and on the real broker it loses messages for slow readers and can end for good subscriptions that
	// were resumed after a restart.
	InFlight int
	// MaxBytes bounds what all messages take that were handed over and have no outcome yet; 0 means 32 MiB.
	MaxBytes int64
	// Schema is the schema of all messages that do not name one themselves; the zero value is none. It is looked up whenever the producer
	// registers, before it creates a topic. The first producer with a subject makes it the topic's.
	Schema SchemaReference
}

const (
	defaultMaxBytes = 32 << 20
	// messageOverhead is what a message takes beside its content.
	messageOverhead = 512
)

// A Producer sends messages to one topic. Its methods may be called concurrently. Messages of one partition without key and messages of
// one key are sent in the order in which they were handed over; with InFlight above 1 those without key are sent side by side.
type Producer struct {
	client   *Client
	settings ProducerSettings
	lanes    []*lane
	room     *semaphore.Weighted
	agreed   agreement
	next     atomic.Uint64 // round robin of messages without key
}

// NewProducer makes a producer; it registers with the broker at the first Send or at [Producer.Register].
func (c *Client) NewProducer(s ProducerSettings) (*Producer, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Partitions < 0 || s.InFlight < 0 || s.MaxBytes < 0 {
		return nil, errors.New("partitions, publishes in flight and bytes must not be negative")
	}
	if err := s.Schema.check(); err != nil {
		return nil, err
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = defaultMaxBytes
	}
	p := &Producer{client: c, settings: s, room: semaphore.NewWeighted(s.MaxBytes)}
	p.agreed = agreement{producer: p, turn: make(chan struct{}, 1)}
	if s.Partitions == 0 {
		p.lanes = []*lane{p.newLane(s.Topic, s.Name)}
	}
	for i := range s.Partitions {
		p.lanes = append(p.lanes, p.newLane(PartitionName(s.Topic, i), s.Name+"-"+strconv.Itoa(i)))
	}
	return p, nil
}

func (p *Producer) newLane(topic, name string) *lane {
	l := &lane{producer: p, topic: topic, name: name, limit: max(p.settings.InFlight, 1), last: make(map[string]*sending)}
	p.client.publishers.add(l)
	return l
}

// Register creates the topic and its partitions where they are missing, so that consumers find them. It retries until ctx is done
// or an error is permanent. Send does the same when needed.
func (p *Producer) Register(ctx context.Context) error {
	for _, l := range p.lanes {
		if err := l.register(ctx); err != nil {
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
	result := make(chan error, 1)
	s, err := p.start(ctx, partition, m, func(err error) { result <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		s.tell(ctx.Err()) // comes too late if the outcome was told meanwhile
		return <-result
	}
}

// SendAsync hands m over and returns; done is told the outcome once, as Send would return it, on a goroutine that it must not hold up.
// The message is tried until that outcome or until [Producer.Close]: ctx bounds only the wait for room below MaxBytes. On an error
// m was not taken and done is never called. Payload and attributes must not be changed before the outcome.
func (p *Producer) SendAsync(ctx context.Context, partition int, m Message, done func(error)) error {
	_, err := p.start(ctx, partition, m, done)
	return err
}

func (p *Producer) start(ctx context.Context, partition int, m Message, done func(error)) (*sending, error) {
	l := p.lanes[partition]
	size := m.Size()
	if size > maxMessageBytes-headRoom {
		return nil, errTooLarge(l.topic, size)
	}
	if m.PublishTime.IsZero() {
		m.PublishTime = time.Now()
	}
	s := &sending{lane: l, message: m, finished: done, weight: min(int64(size)+messageOverhead, p.settings.MaxBytes)}
	if err := p.room.Acquire(ctx, s.weight); err != nil {
		return nil, err
	}
	l.add(s)
	return s, nil
}

// Close ends the producer: what waits is told [ErrClosed], and may have been stored if it was under way before. What is under way
// gets the broker's answer.
func (p *Producer) Close() {
	for _, l := range p.lanes {
		l.close()
	}
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
