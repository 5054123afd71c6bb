package danube

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
)

// ackers is how many acknowledgements of one partition are under way at once.
const ackers = 16

// resendTime is how long a new stream may take to repeat what is unacknowledged, which the broker does first of all.
const resendTime = time.Second

// An acker keeps account of what one partition's stream delivered and the broker has not yet confirmed as acknowledged.
//
// It obeys the order that keeps the real broker from freezing the subscription: the highest offset received so far is acknowledged
// only after every lower one was confirmed; the lower ones go out at once, side by side. After a lost stream earlier
// acknowledgements count for nothing: each waits until its message has come again, which the caller does not see.
type acker struct {
	topic        string // with partition suffix
	subscription string
	work         *queue.Queue[*entry]
	kick         func(error) // ends the stream so that the subscription attaches again

	mu      sync.Mutex
	entries map[uint64]*entry // received and not confirmed, by offset
	top     *entry            // that of the highest offset; nil once confirmed
	highest uint64            // the highest offset received, valid when seen
	seen    bool
	route   route
	open    bool          // a stream is there to acknowledge on
	session uint64        // counts streams
	settle  *time.Timer   // drops what the present session has not repeated
	stale   int           // entries of earlier sessions that have not come again
	held    int           // entries that the caller has not acknowledged
	pending int           // entries handed to the workers
	idle    chan struct{} // closed when pending becomes 0; nil while nobody waits

	received, confirmed, repeated uint64
}

// An entry is one message on its way from delivery to confirmation.
type entry struct {
	acker   *acker
	id      identity
	session uint64    // the last stream that delivered it
	since   time.Time // when the caller got it
	acked   bool      // the caller is done with it
	pending bool      // with the workers
	dead    bool      // given up: another message has its place, or the broker forgot it
}

// An identity tells two messages apart: an offset alone comes again after a broker restart and is always 0 on non-reliable topics.
type identity struct {
	offset    uint64
	published int64
	producer  string
	request   uint64
}

func identify(m *Message) identity {
	return identity{offset: m.Offset, published: m.PublishTime.UnixMilli(), producer: m.Producer, request: m.requestID}
}

func newAcker(topic, subscription string, kick func(error)) *acker {
	return &acker{
		topic: topic, subscription: subscription, kick: kick,
		work: queue.New[*entry](), entries: make(map[uint64]*entry),
	}
}

// opened begins a session; a new life of the broker forgets all that is under way, because nothing of it will come again as it was.
// What has not come again after resendTime never will: the broker has counted it as acknowledged, though its answer was lost.
func (a *acker) opened(r route, newLife bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	session := a.session
	a.settle = time.AfterFunc(resendTime, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.session == session {
			a.dropStale()
		}
	})
	if newLife {
		for _, e := range a.entries {
			a.drop(e)
		}
		a.seen, a.top = false, nil
	}
	a.route, a.open = r, true
}

// closed ends a session: whatever is not confirmed has to come again.
func (a *acker) closed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle.Stop()
	a.open = false
	a.session++
	a.stale = len(a.entries)
}

// receive takes account of a delivered message. It returns nil when the caller has it already or is done with it.
func (a *acker) receive(m *Message) *entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.received++
	id := identify(m)
	if e := a.entries[id.offset]; e != nil {
		if e.id == id {
			a.repeat(e)
			return nil
		}
		a.drop(e)
	}
	if a.stale > 0 && id.offset > a.highest {
		a.dropStale() // the broker repeats before it goes on
	}
	e := &entry{acker: a, id: id, session: a.session, since: time.Now()}
	a.entries[id.offset] = e
	a.held++
	if !a.seen || id.offset > a.highest {
		former := a.top
		a.top, a.highest, a.seen = e, id.offset, true
		a.schedule(former)
	}
	return e
}

// repeat notes that e came again; an acknowledgement that an earlier session could not get through may go now.
func (a *acker) repeat(e *entry) {
	a.repeated++
	if e.session != a.session {
		e.session = a.session
		a.stale--
	}
	a.schedule(e)
}

// dropStale gives up entries of earlier sessions that the present one has not repeated and will not.
func (a *acker) dropStale() {
	for _, e := range a.entries {
		if e.session != a.session {
			a.drop(e)
		}
	}
	a.stale = 0
	a.schedule(a.top)
}

// drop forgets e; the caller's acknowledgement of it will do nothing.
func (a *acker) drop(e *entry) {
	e.dead = true
	delete(a.entries, e.id.offset)
	if !e.acked {
		a.held--
	}
	if e.session != a.session && a.stale > 0 {
		a.stale--
	}
	if a.top == e {
		a.top = nil
	}
}

// ack says that the caller is done with e.
func (a *acker) ack(e *entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.dead || e.acked {
		return
	}
	e.acked = true
	a.held--
	a.schedule(e)
}

// schedule hands e to the workers if it may be acknowledged now.
func (a *acker) schedule(e *entry) {
	if e == nil || e.dead || !e.acked || e.pending || !a.open || e.session != a.session {
		return
	}
	if e == a.top && len(a.entries) > 1 {
		return // the highest goes last
	}
	e.pending = true
	a.pending++
	a.work.Push(e)
}

// run acknowledges until ctx is done.
func (a *acker) run(ctx context.Context) {
	for {
		e, err := a.work.Pop(ctx)
		if err != nil || ctx.Err() != nil {
			return
		}
		a.send(ctx, e)
	}
}

// send acknowledges e until the broker confirms it or e's session is over.
func (a *acker) send(ctx context.Context, e *entry) {
	for try := 1; ; try++ {
		a.mu.Lock()
		r, session := a.route, a.session
		over := e.dead || !a.open || e.session != session
		if over || ctx.Err() != nil {
			a.finish(e, false)
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()

		err := a.call(ctx, r, e)
		if err == nil {
			a.mu.Lock()
			a.finish(e, session == a.session) // an OK that came after the stream was lost may have met a message waiting for its re-send
			a.mu.Unlock()
			return
		}
		// A broken connection ends the stream as well; reopening it for every lost answer would cost deliveries.
		if classify(opAck, err) == reattach && status.Code(err) != codes.Unavailable {
			a.kick(wrap(opAck, a.topic, err))
		}
		if reconnect.Wait(ctx, try) != nil {
			continue // the next turn ends it
		}
	}
}

func (a *acker) call(ctx context.Context, r route, e *entry) error {
	ctx, cancel := context.WithTimeout(r.context(ctx), callTimeout)
	defer cancel()
	_, err := pb.NewConsumerServiceClient(r.conn).Ack(ctx, &pb.AckRequest{
		RequestId:        e.id.request,
		MsgId:            &pb.MsgID{TopicName: a.topic, BrokerAddr: r.brokerURL, TopicOffset: e.id.offset},
		SubscriptionName: a.subscription,
	})
	return err
}

// finish takes e back from the workers; confirmed removes it for good.
func (a *acker) finish(e *entry, confirmed bool) {
	e.pending = false
	a.pending--
	if confirmed && !e.dead {
		a.confirmed++
		a.drop(e)
		a.schedule(a.top)
	} else {
		a.schedule(e) // its message may have come again while the call was under way
	}
	if a.pending == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// flush waits until no acknowledgement is under way, or until ctx is done and returns its error.
func (a *acker) flush(ctx context.Context) error {
	a.mu.Lock()
	if a.pending == 0 {
		a.mu.Unlock()
		return nil
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	a.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// oldest is when the caller got the message that it holds longest; zero when it holds none.
func (a *acker) oldest() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	var oldest time.Time
	for _, e := range a.entries {
		if !e.acked && (oldest.IsZero() || e.since.Before(oldest)) {
			oldest = e.since
		}
	}
	return oldest
}
