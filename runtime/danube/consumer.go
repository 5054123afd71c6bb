package danube

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
)

// ConsumerSettings says what a consumer reads.
type ConsumerSettings struct {
	// Topic has the form /namespace/topic. All its partitions are read.
	Topic string
	// Subscription keeps the position on the broker. A new one starts at the newest message.
	Subscription string
	// Name tells consumers of one subscription apart. A second consumer of the same name takes over the first one's stream, so it
	// must be unique among live processes and, on Exclusive subscriptions, the same after a restart.
	Name string
	// Type decides how the subscription shares messages; the first consumer's choice counts.
	Type SubscriptionType
	// CreateTopic makes a missing topic (plain and reliable), so that nothing published after that passes the new subscription by.
	// Without it the consumer waits until somebody makes the topic.
	CreateTopic bool
	// KeyFilters are globs (* for any run, ? for one byte) of the routing keys that a KeyShared consumer takes; none takes all. Messages of
	// a key that no consumer takes are lost to the subscription.
	KeyFilters []string
	// MaxBytes bounds what the messages take that the caller has not passed to Ack or Nack, those of an earlier Life included; 0 means
	// 64 MiB. One message of each partition is always taken. Beyond it messages are dropped unacknowledged and the stream is opened again
	// once half of it is free, which counts as one delivery of them.
	MaxBytes int64
	// Alone says that no other process consumes from this subscription, as is always so on Exclusive ones. Only then does a message that
	// does not come here mean that something is wrong with the subscription.
	Alone bool
	// Gauges is what the broker's metrics endpoint tells, which decides between states that look alike; nil for none.
	Gauges GaugeView
	// Rediscover is how often new partitions are looked for, give or take half of it: 0 means 30 s, less than 0 never. Messages that are
	// published to a new partition before it is found are lost to the subscription.
	Rediscover time.Duration
}

const defaultHeldBytes = 64 << 20

// A Consumer reads a topic through a subscription. It always reads, into a buffer that the broker's window of unacknowledged
// messages bounds, and it attaches again after every loss of its stream. Its methods may be called concurrently.
//
// Goroutines started by NewConsumer run until Close, which waits for them.
type Consumer struct {
	client   *Client
	settings ConsumerSettings
	queue    *queue.Queue[Delivery]
	memory   memory
	gate     gate
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	failed chan struct{} // closed once err is set
	once   sync.Once
	err    error

	changed chan struct{} // see Changed
	poked   chan struct{} // see poke

	mu       sync.Mutex
	subs     []*subscription
	starting health   // before the first subscription is there
	standing standing // likewise
}

// A Delivery is a message that waits for [Consumer.Ack].
type Delivery struct {
	Message
	// Life counts the times that the broker came back without its memory of the subscription, as far as this consumer saw it. An
	// offset means the same message only within one partition and life.
	Life  int
	entry *entry
}

// NewConsumer starts a consumer. It only checks the settings: what the broker says shows in [Consumer.Health] and Receive.
func (c *Client) NewConsumer(s ConsumerSettings) (*Consumer, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.MaxBytes < 0 {
		return nil, errors.New("bytes held must not be negative")
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = defaultHeldBytes
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := &Consumer{client: c, settings: s, queue: queue.New[Delivery](), cancel: cancel, failed: make(chan struct{})}
	k.changed, k.poked = make(chan struct{}, 1), make(chan struct{}, 1)
	k.standing.now = SubscriptionState{Topic: s.Topic, Partition: -1, Since: time.Now()}
	k.memory.limit = s.MaxBytes
	k.starting.set(errors.New("subscribing to " + s.Topic))
	k.wg.Go(func() { k.run(ctx) })
	k.wg.Go(func() { k.watch(ctx) })
	return k, nil
}

// Receive waits for a message. It returns ctx's error when ctx is done first, and a permanent error when the broker refuses the
// subscription for good.
func (k *Consumer) Receive(ctx context.Context) (Delivery, error) {
	for {
		if d, ok := k.queue.TryPop(); ok {
			return d, nil
		}
		select {
		case <-k.queue.Ready():
		case <-k.failed:
			return Delivery{}, k.err
		case <-ctx.Done():
			return Delivery{}, ctx.Err()
		}
	}
}

// Ack says that d is safe elsewhere and must not come again. It returns at once; the acknowledgement goes out in an order that the
// broker bears and is repeated until confirmed. Of a delivery whose Life is over it only frees the memory: the message comes again if
// the broker still has it.
func (k *Consumer) Ack(d Delivery) {
	d.entry.acker.ack(d.entry)
}

// Nack gives d back: the broker delivers it again after its own delay or the given one, whichever is longer. It returns at once. Each
// Nack uses up one of the deliveries after which the broker's poison policy takes the message; a sink that only waits for its
// target should hold the message or pause.
func (k *Consumer) Nack(d Delivery, delay time.Duration, reason string) {
	d.entry.acker.giveBack(d.entry, &nack{delay: delay, reason: reason})
}

// relieve opens streams again whose messages were dropped for want of room.
func (k *Consumer) relieve() {
	for _, s := range k.subscriptions() {
		s.acker.askAgain()
	}
}

// Flush waits until every acknowledgement that can go out was confirmed, or until ctx is done and returns its error.
func (k *Consumer) Flush(ctx context.Context) error {
	for _, s := range k.subscriptions() {
		if err := s.acker.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Pause closes the streams. While they are closed the broker counts no delivery attempt and no acknowledgement timeout against the
// messages that the caller holds; reason shows in Health. Ack goes on working: it takes effect after Resume.
func (k *Consumer) Pause(reason error) {
	k.gate.close(reason)
	k.poke()
}

// Resume opens the streams again. Messages that the caller still holds or has acknowledged meanwhile are not delivered again.
func (k *Consumer) Resume() {
	k.gate.open()
	k.poke()
}

// Held counts the messages that were received and not yet passed to Ack, those not yet handed out by Receive included.
func (k *Consumer) Held() int {
	n := 0
	for _, s := range k.subscriptions() {
		s.acker.mu.Lock()
		n += s.acker.held
		s.acker.mu.Unlock()
	}
	return n
}

// OldestHeld is when the message held longest was received; zero when none is held.
func (k *Consumer) OldestHeld() time.Time {
	var oldest time.Time
	for _, s := range k.subscriptions() {
		if t := s.acker.oldest(); !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	return oldest
}

// Stats are counts since the consumer started.
type Stats struct {
	Received  uint64 // messages from the streams, repeated ones included
	Repeated  uint64 // copies of messages that the caller had already, which it did not see again
	Confirmed uint64 // acknowledgements that the broker confirmed
}

// Stats sums the counts over all partitions.
func (k *Consumer) Stats() Stats {
	var t Stats
	for _, s := range k.subscriptions() {
		s.acker.mu.Lock()
		t.Received += s.acker.received
		t.Repeated += s.acker.repeated
		t.Confirmed += s.acker.confirmed
		s.acker.mu.Unlock()
	}
	return t
}

// Health is nil while every partition's stream is open, else why one is not.
func (k *Consumer) Health() error {
	if err := k.gate.reason(); err != nil {
		return err
	}
	if err := k.starting.get(); err != nil {
		return err
	}
	for _, s := range k.subscriptions() {
		if err := s.health.get(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the streams and waits for the consumer's goroutines; what was not acknowledged comes again at the next start. Call
// Flush first where acknowledgements may be under way.
func (k *Consumer) Close() {
	k.cancel()
	k.wg.Wait()
}

func (k *Consumer) subscriptions() []*subscription {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.subs
}

// run finds the topic's partitions and reads each until ctx is done.
func (k *Consumer) run(ctx context.Context) {
	parts, err := k.discover(ctx)
	if err != nil {
		if ctx.Err() == nil {
			k.fail(err)
		}
		return
	}
	k.read(ctx, parts)
	k.starting.set(nil)
	k.poke()
	k.rediscover(ctx, parts)
}

// discover waits until the topic exists.
func (k *Consumer) discover(ctx context.Context) ([]int, error) {
	s := k.settings
	for try := 1; ; try++ {
		parts, err := k.client.partitions(ctx, s.Topic)
		switch {
		case err == nil && len(parts) > 0:
			return parts, nil
		case err == nil && s.CreateTopic:
			err = k.create(ctx)
			if err == nil {
				continue
			}
		case err == nil:
			err = errNoTopicYet(s.Topic)
		}
		if IsPermanent(err) {
			return nil, err
		}
		k.starting.set(err)
		k.poke()
		k.client.log.Warn("subscribing waits for the broker", zap.String("topic", s.Topic), zap.Int("try", try), zap.Error(err))
		if err := reconnect.Wait(ctx, try); err != nil {
			return nil, err
		}
	}
}

// create makes the topic by registering a producer, the only way that the client API has.
func (k *Consumer) create(ctx context.Context) error {
	p, err := k.client.NewProducer(ProducerSettings{Topic: k.settings.Topic, Name: k.settings.Name + "-creates", Reliable: true})
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return p.Register(ctx)
}

// fail ends Receive with err.
func (k *Consumer) fail(err error) {
	k.once.Do(func() {
		k.err = err
		close(k.failed)
	})
	k.poke()
}
