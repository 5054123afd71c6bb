package danube

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// A lane is the producer of one partition. It sends in the order in which messages came, at most `limit` at once and of one key only one
// at once, and registers again as often as the broker forgets it. A message that failed goes before all that wait.
type lane struct {
	producer *Producer
	topic    string // with partition suffix
	name     string
	limit    int
	health   health

	mu        sync.Mutex
	ready     fifo                // may be sent
	last      map[string]*sending // by key, the last of those that wait for each other; only with a limit above 1
	inFlight  int
	at        *attachment // nil until registered and after the broker forgot it
	attaching *attaching  // an attempt to register
	pause     *time.Timer // set while a failure is waited out
	failures  int         // in a row
	requests  uint64
	sight     publishSight
	closed    bool
}

// An attachment is a registered producer: its id counts only on the broker that gave it.
type attachment struct {
	route  route
	id     uint64
	schema schemaKey // of messages that name none
}

// An attaching is an attempt to register; done is closed when it is over.
type attaching struct {
	cancel  context.CancelFunc
	done    chan struct{}
	err     error
	waiting int // callers of register, for whom it goes on although no message waits
}

// A sending is a message on its way through a lane.
type sending struct {
	unary.Call
	answer   [16]byte // room for the response, which says nothing that is not known
	lane     *lane
	message  Message
	request  uint64
	buffer   *buffer // while under way
	at       *attachment
	next     *sending // of the same key, to be sent after this one
	after    *sending // in a fifo
	weight   int64    // of the producer's room
	finished func(error)
	given    bool // its outcome was told
	stamped  bool // the message got its schema from at
}

// add takes s for sending.
func (l *lane) add(s *sending) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		s.tell(ErrClosed)
		return
	}
	l.requests++
	s.request = l.requests
	if l.follows(s) {
		l.mu.Unlock()
		return
	}
	l.ready.push(s)
	l.mu.Unlock()
	l.advance()
}

// follows puts s behind the message of its key that is under way, if there is one.
func (l *lane) follows(s *sending) bool {
	if l.limit == 1 || s.message.Key == "" {
		return false
	}
	before := l.last[s.message.Key]
	l.last[s.message.Key] = s
	if before != nil {
		before.next = s
	}
	return before != nil
}

// advance sends what may be sent now.
func (l *lane) advance() {
	for {
		l.mu.Lock()
		s := l.take()
		l.mu.Unlock()
		if s == nil {
			return
		}
		s.send()
	}
}

// take gives the next message to send, nil if it has to wait; it sees to it that what is waited for comes.
func (l *lane) take() *sending {
	switch {
	case l.pause != nil, l.inFlight >= l.limit, !l.waits():
		return nil
	case l.at == nil:
		l.attach()
		return nil
	}
	s := l.ready.pop()
	l.inFlight++
	s.at = l.at
	return s
}

// waits tells whether a message is ready to be sent; those that their callers gave up are not.
func (l *lane) waits() bool {
	for l.ready.first != nil && l.ready.first.given {
		l.release(l.ready.pop())
	}
	return l.ready.first != nil
}

// release lets the next message of the key of s go.
func (l *lane) release(s *sending) {
	if l.limit == 1 || s.message.Key == "" {
		return
	}
	if s.next != nil {
		l.ready.push(s.next)
		s.next = nil
		return
	}
	delete(l.last, s.message.Key)
}

func (s *sending) send() {
	l := s.lane
	s.stamp()
	id := msgID{producer: s.at.id, topic: l.topic, broker: s.at.route.brokerURL}
	s.buffer = getBuffer(s.message.Size())
	s.buffer.bytes = appendSend(s.buffer.bytes, &s.message, &id, s.request, l.name)
	s.Method, s.Request, s.Response, s.Deadline, s.Owner = methodSend, s.buffer.bytes, s.answer[:0], time.Now().Add(sendTimeout), s
	s.at.route.calls.start(&s.Call)
}

// Answered decides what follows the answer.
func (s *sending) Answered(*unary.Call) {
	l, err := s.lane, s.Err()
	s.buffer.free()
	l.mu.Lock()
	l.inFlight--
	l.sight.answered(s.Deadline.Add(-sendTimeout), err)
	again := false
	if err == nil {
		l.failures = 0
		l.health.set(nil)
	} else {
		again, err = l.failed(s, err)
	}
	if !again {
		l.release(s)
	}
	l.mu.Unlock()
	if !again {
		s.tell(err)
	}
	l.advance()
}

// failed puts s back to be sent again unless nothing is gained by that. The lane is locked.
func (l *lane) failed(s *sending, err error) (again bool, _ error) {
	act := classify(opSend, err)
	err = wrap(opSend, l.topic, err)
	switch {
	case act == giveUp:
		l.health.set(err)
		return false, err
	case l.closed:
		return false, ErrClosed
	case act != reattach:
		l.wait(err)
	case l.at == s.at: // else another message has registered again already
		l.at = nil
		l.wait(err)
	}
	l.ready.unpop(s)
	return true, nil
}

// wait holds the lane up for a while after a failure. The lane is locked.
func (l *lane) wait(err error) {
	l.health.set(err)
	if l.pause != nil {
		return
	}
	l.failures++
	l.producer.client.log.Warn("publishing waits for the broker", zap.String("topic", l.topic), zap.Int("try", l.failures), zap.Error(err))
	l.pause = time.AfterFunc(reconnect.Delay(l.failures), func() {
		l.mu.Lock()
		l.pause = nil
		l.mu.Unlock()
		l.advance()
	})
}

// register returns once the producer is registered, or when ctx is done or the broker refuses for good.
func (l *lane) register(ctx context.Context) error {
	l.mu.Lock()
	if l.at != nil {
		l.mu.Unlock()
		return nil
	}
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	a := l.attach()
	a.waiting++
	l.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a.waiting--
	return ctx.Err()
}

// attach begins an attempt to register unless there is one. The lane is locked.
func (l *lane) attach() *attaching {
	if l.attaching != nil {
		return l.attaching
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &attaching{cancel: cancel, done: make(chan struct{})}
	l.attaching = a
	go l.attachUntil(ctx, a)
	return a
}

// attachUntil tries until the producer is registered, the broker refuses for good, or nobody waits for it any more.
func (l *lane) attachUntil(ctx context.Context, a *attaching) {
	defer a.cancel()
	for try := 1; ; try++ {
		var at *attachment
		err := l.producer.agreed.reach(ctx)
		if err == nil {
			at, err = l.create(ctx)
		}
		err = wrap(opCreate, l.topic, err)
		l.mu.Lock()
		idle := a.waiting == 0 && !l.waits()
		if l.closed {
			err = ErrClosed
		}
		if err == nil || idle || l.closed || hopeless(err, try) {
			l.at, l.attaching, a.err = at, nil, err
			l.health.set(err)
			lost := l.fail(err)
			close(a.done)
			l.mu.Unlock()
			tellAll(lost, err)
			l.advance()
			return
		}
		l.health.set(err)
		l.mu.Unlock()
		l.producer.client.log.Warn("publishing waits for the broker", zap.String("topic", l.topic), zap.Int("try", try), zap.Error(err))
		_ = reconnect.Wait(ctx, try) // its error is that the lane was closed, which the next turn sees
	}
}

// create registers the producer, which makes a missing topic.
func (l *lane) create(ctx context.Context) (*attachment, error) {
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
		RequestId: 1, ProducerName: l.name, TopicName: l.topic, DispatchStrategy: strategy,
		SchemaRef: l.producer.settings.Schema.wire(),
	})
	if err != nil {
		return nil, err
	}
	return &attachment{route: r, id: resp.GetProducerId(), schema: schema}, nil
}

// fail takes out all that waits when err is not nil. The lane is locked.
func (l *lane) fail(err error) []*sending {
	if err == nil {
		return nil
	}
	var lost []*sending
	for s := l.ready.pop(); s != nil; s = l.ready.pop() {
		for ; s != nil; s = s.next {
			lost = append(lost, s)
			delete(l.last, s.message.Key)
		}
	}
	return lost
}

// close ends the lane; what waits is told ErrClosed. What is under way is told what the broker answers.
func (l *lane) close() {
	l.producer.client.publishers.remove(l)
	l.mu.Lock()
	l.closed = true
	if l.attaching != nil {
		l.attaching.cancel()
	}
	if l.pause != nil {
		l.pause.Stop()
	}
	lost := l.fail(ErrClosed)
	l.mu.Unlock()
	tellAll(lost, ErrClosed)
}

func tellAll(all []*sending, err error) {
	for _, s := range all {
		s.tell(err)
	}
}

// tell tells the outcome of s once.
func (s *sending) tell(err error) {
	s.lane.mu.Lock()
	given := s.given
	s.given = true
	s.lane.mu.Unlock()
	if !given {
		s.lane.producer.room.Release(s.weight)
		s.finished(err)
	}
}

// A fifo is a queue of sendings that takes back what it gave. The zero value is empty.
type fifo struct {
	first, last *sending
}

func (q *fifo) push(s *sending) {
	if q.last == nil {
		q.first = s
	} else {
		q.last.after = s
	}
	q.last = s
}

func (q *fifo) unpop(s *sending) {
	s.after = q.first
	q.first = s
	if q.last == nil {
		q.last = s
	}
}

func (q *fifo) pop() *sending {
	s := q.first
	if s == nil {
		return nil
	}
	q.first, s.after = s.after, nil
	if q.first == nil {
		q.last = nil
	}
	return s
}
