package connect

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// acknowledger is what custody needs of a consumer.
type acknowledger interface{ Ack(danube.Delivery) }

// A custody keeps account of who answers for each message of a route: the broker until it is acknowledged, the spool from its sync until
// the target has it. A message is acknowledged only when it is settled or kept by the spool.
//
// Settled means written to the target, or put away as a dead letter. A settled message that was never appended is acknowledged at once
// only while the spool is clean: were an older one of its key still in there, it would be written after the newer one if the process
// died now, and nothing would bring the newer one back.
type custody struct {
	broker       acknowledger
	spool        *spool.Spool // nil without one
	rule         rule         // when to spool
	always       bool         // spool everything at once
	room         int64        // bytes that lanes may hold while there is a spool
	stopWhenFull bool
	log          *zap.Logger

	mu       sync.Mutex
	held     messageList // what the broker waits for, in order of arrival
	buffered int64       // bytes of payload in lanes
	behind   bool        // lanes are fed from the spool, so what arrives goes there and to no lane
	unread   int         // messages in held that no lane got
	unfed    uint64      // place in the spool of the first message that no lane got; none while it is not known
	end      uint64      // place after the last message that is safe in the spool
	changing int         // messages on their way to the spool
	clean    bool        // the spool holds nothing that is not settled, and that is durable
	waiting  int         // settled messages in held that wait for clean
	life     int         // of the broker
	saveSoon bool        // a timer is set for saving
	err      error       // why the spool takes nothing at present
	slab     []message   // messages made ahead

	spoolNow wake // there may be something to append
	feedNow  wake // there may be room in the lanes, or something to feed them with
	saveNow  wake // somebody waits for clean
	saved    wake // there may be room in the spool
}

// A wake wakes one goroutine; those that come while one is pending are one.
type wake chan struct{}

func newWake() wake { return make(wake, 1) }

func (s wake) give() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// newCustody takes over what store holds from an earlier life; store is nil without a spool.
func newCustody(store *spool.Spool, log *zap.Logger) *custody {
	c := &custody{
		spool: store, log: log, room: laneRoom, clean: true, unfed: none,
		spoolNow: newWake(), feedNow: newWake(), saveNow: newWake(), saved: newWake(),
	}
	c.rule.poke = c.spoolNow.give
	if store != nil {
		stats := store.Stats()
		c.end, c.clean = stats.Next, store.Clean()
		if stats.Waiting() > 0 {
			c.behind, c.unfed = true, stats.Settled
			c.feedNow.give()
		}
	}
	return c
}

// messagesAtOnce are made together, since one allocation for each is what a fast stream can least afford.
const messagesAtOnce = 16

func (c *custody) newMessage() *message {
	if len(c.slab) == 0 {
		c.slab = make([]message, messagesAtOnce)
	}
	m := &c.slab[0]
	c.slab = c.slab[1:]
	return m
}

// take answers for d from now on. It returns nil when d is not for the lanes yet: the spool has it already, or gets it before its turn.
// Messages must be taken in order.
func (c *custody) take(d danube.Delivery) *message {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.newMessage()
	m.Delivery, m.taken, m.fed = d, time.Now(), true
	c.held.push(m)
	if c.spool == nil {
		return m
	}
	if d.Life != c.life {
		c.life = d.Life
		c.rule.forget()
	}
	if _, m.known = c.spool.Find(&d.Message); m.known {
		m.fed = false
	} else if c.behind || c.buffered >= c.room && c.err == nil {
		m.fed, c.behind = false, true
	}
	c.rule.arrived(c.held.n, m.taken)
	if !m.fed {
		c.unread++
		c.spoolNow.give()
		return nil
	}
	c.buffered += size(m)
	if c.always {
		c.spoolNow.give()
	}
	return m
}

// settle notes of each message in batch that one record of it is written or put away.
func (c *custody) settle(batch []*message) {
	c.mu.Lock()
	for _, m := range batch {
		if m.left--; m.left > 0 {
			continue
		}
		m.settled = true
		c.buffered -= size(m)
		switch {
		case m.keeper == keptBySpool:
			c.done(m)
		case m.keeper == changing: // whoever appends it goes on with it
		case c.clean:
			c.release(m)
			m.release = true
		default:
			c.waiting++
			c.saveNow.give()
		}
	}
	if c.behind {
		c.feedNow.give()
	}
	c.mu.Unlock()
	for _, m := range batch { // unlocked, as it takes a while
		if m.release {
			m.release = false
			c.broker.Ack(m.Delivery)
		}
	}
}

// release takes m out of what the broker waits for. The caller acknowledges it.
func (c *custody) release(m *message) {
	c.held.remove(m)
	c.rule.released(c.held.n)
}

// unacknowledged counts what the broker waits for.
func (c *custody) unacknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.n
}

// isClean tells whether the target has all that was ever in the spool, and that is durable.
func (c *custody) isClean() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clean
}

// problem says why the spool takes nothing at present, nil when it does.
func (c *custody) problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func size(m *message) int64 { return int64(len(m.Payload)) + messageOverhead }

// laneRoom is how many bytes of messages wait in memory for the target while there is a spool.
const laneRoom = 16 << 20

// messageOverhead is about what a message takes beside its payload.
const messageOverhead = 512
