package danubetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// A topic has a log and subscriptions that read it.
type topic struct {
	broker   *Broker
	name     string
	reliable bool

	mu         sync.Mutex
	log        messageLog
	table      table  // held by calls that wait, see table
	head       uint64 // messages below are committed and may be delivered
	subs       map[string]*subscription
	producers  map[string]*producer // by name
	policies   map[string]*adminpb.SubscriptionFailurePolicy
	windows    map[string]int
	duplicates int       // deliveries that are still to be doubled, see Broker.Duplicate
	readyAt    time.Time // when the topic is loaded, under the trap late-topic
	lives      *lives    // under the trap offsets-restart, else nil
	publishing int       // publishes that are not answered yet
	overlaps   int       // how many publishes were accepted while another was not answered
	overlapped runs      // the newest of their offsets
	closed     bool

	id         uint64 // names its place in the data directory, if there is one
	dirty      bool   // the data directory does not have all of it yet
	discarded  bool   // the data directory is to have nothing of it; its lock guards this
	lastRecord string // what the data directory is to have of a closed topic

	schema atomic.Pointer[topicSchema] // nil for the default; replaced with mu held
}

func newTopic(b *Broker, name string, reliable bool) *topic {
	t := &topic{
		broker:    b,
		name:      name,
		reliable:  reliable,
		log:       &memoryLog{},
		table:     newTable(b.settings.traps),
		subs:      make(map[string]*subscription),
		producers: make(map[string]*producer),
		policies:  make(map[string]*adminpb.SubscriptionFailurePolicy),
		windows:   make(map[string]int),
	}
	if b.settings.traps.has(trapLateTopic) {
		t.readyAt = time.Now().Add(loadTime)
	}
	t.lives = newLives(t)
	return t
}

var errTopicClosed = errors.New("topic is draining or closed")

// publish stores m, which belongs to the topic from then on, and hands it out.
func (t *topic) publish(ctx context.Context, m *danubepb.StreamMessage) error {
	size := int64(proto.Size(m)) + messageOverhead
	if err := t.reserve(size); err != nil {
		return err
	}
	life := t.lives.life()
	offset, commit, err := t.store(m, size)
	if err == nil && t.broker.settings.traps.has(overlapping) {
		defer t.answered()
	}
	if err != nil {
		t.release(size)
		return errPublish(err)
	}
	if err := commit(); err != nil {
		t.mu.Lock()
		t.broker.budget.release(t.log.forget())
		t.broker.disk.seekRoom(t, err)
		t.mu.Unlock()
		return errPublish(err)
	}
	var tickets []*ticket
	t.mu.Lock()
	if t.lives.life() != life { // a restart came between: the message went with the old life
		t.mu.Unlock()
		return errConnectionLost
	}
	t.head = max(t.head, offset+1)
	t.lives.published()
	for _, s := range t.subs {
		s.dispatcher.published()
		if tk := s.claim(); tk != nil {
			tickets = append(tickets, tk)
		}
	}
	t.trim()
	t.mu.Unlock()
	t.broker.changed()
	return awaitAll(ctx, tickets)
}

// store gives m its offset. Whoever comes first gets the lower one.
func (t *topic) store(m *danubepb.StreamMessage, size int64) (uint64, commit, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, nil, errTopicClosed
	}
	t.broker.budget.release(t.log.forget())
	offset, commit, err := t.log.append(m, size)
	if err == nil && t.reliable {
		m.MsgId.TopicOffset = offset
	}
	if err == nil && t.broker.settings.traps.has(overlapping) {
		t.accepted(offset)
	}
	return offset, commit, err
}

// accepted notes whether a publish overlaps with another one.
func (t *topic) accepted(offset uint64) {
	t.publishing++
	if t.publishing == 1 {
		return
	}
	t.overlaps++
	if t.broker.settings.traps.has(trapReorder) {
		t.overlapped.add(offset)
		if len(t.overlapped) > ringSize {
			t.overlapped = append(runs(nil), t.overlapped[1:]...)
		}
	}
}

func (t *topic) answered() {
	t.mu.Lock()
	t.publishing--
	t.mu.Unlock()
}

// errPublish is the answer to a publish that was not stored.
func errPublish(err error) error {
	code := codes.PermissionDenied
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return status.Errorf(codes.ResourceExhausted, "Unable to publish the message: %v; make room on that disk, or acknowledge messages", err)
	case !errors.Is(err, errTopicClosed):
		code = codes.Unavailable
	}
	return status.Errorf(code, "Unable to publish the message: %v", err)
}

// trim forgets the messages that every subscription has passed, but for the history.
func (t *topic) trim() {
	t.broker.disk.touch(t)
	if needed := t.passed(); needed > t.log.first() {
		t.broker.budget.release(t.log.trim(needed))
	}
}

// passed is the lowest offset that a subscription or the history still needs.
func (t *topic) passed() uint64 {
	needed := t.floor()
	if history := uint64(t.broker.settings.history); t.head > history {
		return min(needed, t.head-history)
	}
	return 0
}

// floor is the lowest offset that a subscription still needs.
func (t *topic) floor() uint64 {
	floor := t.head
	if t.lives != nil {
		floor = min(floor, t.lives.next)
	}
	for _, s := range t.subs {
		floor = min(floor, s.dispatcher.floor())
	}
	return floor
}

// dropHistory frees the memory of every message that no subscription needs, and on disk of all.
func (t *topic) dropHistory() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broker.budget.release(t.log.shed(t.floor(), t.head))
}

// subscribe joins the consumer of req to its subscription, which it creates if need be.
func (t *topic) subscribe(ctx context.Context, req *danubepb.ConsumerRequest, from *conn) (*consumer, error) {
	if err := t.table.hold(ctx); err != nil {
		return nil, err
	}
	c, tk, err := t.enter(req, from)
	t.table.release()
	if err != nil {
		return nil, err
	}
	return c, tk.wait(ctx)
}

// enter is subscribe up to what it may have to wait for.
func (t *topic) enter(req *danubepb.ConsumerRequest, from *conn) (*consumer, *ticket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, nil, errNoTopic(t.name)
	}
	s := t.subs[req.GetSubscription()]
	if s == nil {
		var err error
		if s, err = newSubscription(t, req.GetSubscription(), req.GetSubscriptionType()); err != nil {
			return nil, nil, err
		}
	}
	c, err := s.join(req, from)
	if err != nil {
		return nil, nil, err
	}
	t.subs[s.name] = s
	t.broker.disk.touch(t)
	t.broker.ids.addConsumer(c)
	t.broker.changed()
	return c, s.claim(), nil
}

var errNoSubscription = errors.New("subscription not found")

// ack acknowledges one message for a subscription.
func (t *topic) ack(ctx context.Context, name string, offset uint64) error {
	return t.settle(ctx, name, func(s *subscription) {
		if !s.losesAck() {
			s.dispatcher.ack(offset)
		}
	})
}

// nack gives one message back for a later delivery.
func (t *topic) nack(ctx context.Context, name string, offset uint64, delay time.Duration, reason string) error {
	return t.settle(ctx, name, func(s *subscription) { s.dispatcher.nack(offset, delay, reason) })
}

// settle tells the dispatcher of a subscription about a message, and holds the table for as long as that takes.
func (t *topic) settle(ctx context.Context, name string, tell func(*subscription)) error {
	if err := t.table.hold(ctx); err != nil {
		return err
	}
	defer t.table.release()
	tk, err := t.tell(name, tell)
	if err != nil {
		return err
	}
	return tk.wait(ctx)
}

func (t *topic) tell(name string, tell func(*subscription)) (*ticket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.subs[name]
	if s == nil {
		return nil, fmt.Errorf("%w: %s on topic %s", errNoSubscription, name, t.name)
	}
	tell(s)
	t.trim()
	t.broker.changed()
	return s.claim(), nil
}

// unsubscribe removes a subscription with its position.
func (t *topic) unsubscribe(ctx context.Context, subscription string) error {
	if err := t.table.hold(ctx); err != nil {
		return err
	}
	defer t.table.release()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.subs[subscription]
	if s == nil {
		return fmt.Errorf("%w: %s on topic %s", errNoSubscription, subscription, t.name)
	}
	if err := s.unsubscribable(); err != nil {
		return err
	}
	s.close(nil)
	delete(t.subs, subscription)
	if t.broker.settings.traps.has(trapPolicy) {
		delete(t.policies, subscription)
	}
	if t.lives != nil {
		delete(t.lives.cursors, subscription)
	}
	t.trim()
	t.broker.changed()
	return nil
}

// close ends the topic for good; its streams end with err.
func (t *topic) close(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broker.disk != nil && !t.closed {
		t.lives.save()
		t.broker.disk.touch(t)
		t.lastRecord = t.record()
	}
	t.closed = true
	t.lives.close()
	for _, s := range t.subs {
		s.close(err)
	}
	clear(t.subs)
	t.forgetProducers()
	t.broker.budget.release(t.log.trim(t.log.next()))
}

// restart forgets what only memory knows: ids, and subscriptions without a position.
func (t *topic) restart() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetProducers()
	t.forgetSchema()
	if t.lives != nil {
		t.lives.restart()
		return
	}
	for name, s := range t.subs {
		if t.reliable {
			s.restart()
			continue
		}
		s.close(errConnectionLost)
		delete(t.subs, name)
	}
}

func (t *topic) forgetProducers() {
	for _, p := range t.producers {
		t.broker.ids.removeProducer(p.id)
	}
	clear(t.producers)
}

// policy is the failure policy that a subscription of that name has or would get.
func (t *topic) policy(subscription string) FailurePolicy {
	if w := t.policies[subscription]; w != nil {
		return policyFromWire(w)
	}
	return t.broker.settings.policy
}

// window is how many messages a subscription of that name may or might have in flight.
func (t *topic) window(subscription string) int {
	if w, ok := t.windows[subscription]; ok && !t.broker.settings.traps.has(trapWindow) {
		return w
	}
	return t.broker.settings.window
}

// reconfigure applies what was stored for a subscription, if it lives.
func (t *topic) reconfigure(subscription string) {
	t.broker.disk.touch(t)
	if s := t.subs[subscription]; s != nil {
		if !t.broker.settings.traps.has(trapBlock) {
			s.policy = t.policy(subscription)
		}
		s.dispatcher.configure(t.window(subscription), s.policy)
		t.trim()
		t.broker.changed()
	}
}
