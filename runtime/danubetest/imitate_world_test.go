package danubetest_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A world is one way in which a topic of the real broker with one reliable Exclusive, Failover or Shared subscription may have come
// to be. Where chance decides, settle makes a world for each outcome; those that the broker under test does not show are given up.
type world struct {
	window int
	now    time.Time
	head   uint64
	stored *danubetest.FailurePolicy // by the admin, for the next dispatcher
	usual  danubetest.FailurePolicy
	sub    *worldSub // nil when it does not exist

	holder  int            // the call that holds the table of subscriptions, 0 for none
	table   []worldCall    // those that wait for it, in order
	opening []worldCall    // those that wait until the stream before is closed
	ended   map[int]string // how calls ended since the last look
	gone    map[int]bool   // streams that have ended
}

// A worldSub is a subscription with its dispatcher.
type worldSub struct {
	kind     danubepb.ConsumerRequest_SubscriptionType
	policy   danubetest.FailurePolicy
	names    []string // in order of arrival
	clients  map[string]*worldClient
	queue    []worldCommand
	line     []worldWaiter // those who wait for a place in the queue
	nextTick time.Time
	overdue  bool // a tick waits

	members  []string // known to the dispatcher
	turn     int
	inFlight map[uint64]*worldMessage
	ring     []uint64 // published and not read
	first    *uint64  // the first offset that was delivered
	cursor   *uint64
	done     map[uint64]bool
	work     []worldJob // the dispatch under way, what comes next last
	ticked   bool       // at least once
	lag      uint64     // the gauges
	blocked  int
}

// A worldClient is a consumer. It is active from Subscribe until its stream has ended, and the end needs places in the queue.
type worldClient struct {
	subscribed bool // and has not opened a stream since
	stream     int  // 0 for none
	closing    int  // the call that stands for a stream's end
	places     []uint64
	delivered  []uint64 // since the last look
}

func (c *worldClient) active() bool { return c.subscribed || c.stream != 0 || c.closing != 0 }

type worldMessage struct {
	state string // sent, waiting or exhausted
	until time.Time
	count uint32
	to    string
}

// A worldCall is a call of a client.
type worldCall struct {
	id     int
	what   string // publish, ack, nack, subscribe, open, health, unsubscribe, close, other
	name   string // of the consumer
	kind   danubepb.ConsumerRequest_SubscriptionType
	offset uint64
	delay  time.Duration
}

func (c worldCall) String() string {
	return fmt.Sprintf("%d: %s %s offset %d delay %v", c.id, c.what, c.name, c.offset, c.delay)
}

type worldCommand struct {
	what   string // wake-up, ack, nack, requeue, join
	name   string
	offset uint64
	delay  time.Duration
}

// A worldWaiter is a call whose commands have no place yet.
type worldWaiter struct {
	call     worldCall
	commands []worldCommand
}

// A worldJob is a part of a dispatch: send again, read, or hand over.
type worldJob struct {
	what   string
	offset uint64
	to     string // on Exclusive and Failover the one served, in a hand-over the one who gets it
}

const (
	worldTick   = 500 * time.Millisecond
	worldQueue  = 32
	worldRing   = 256
	worldPlaces = 4
)

func (w *world) copy() *world {
	c := *w
	c.table, c.opening = slices.Clone(w.table), slices.Clone(w.opening)
	c.ended, c.gone = maps.Clone(w.ended), maps.Clone(w.gone)
	if w.sub == nil {
		return &c
	}
	s := *w.sub
	c.sub = &s
	s.names, s.members, s.ring = slices.Clone(s.names), slices.Clone(s.members), slices.Clone(s.ring)
	s.queue, s.line, s.work = slices.Clone(s.queue), slices.Clone(s.line), slices.Clone(s.work)
	s.done, s.clients, s.inFlight = maps.Clone(s.done), maps.Clone(s.clients), maps.Clone(s.inFlight)
	for name, client := range s.clients {
		cc := *client
		cc.places, cc.delivered = slices.Clone(cc.places), slices.Clone(cc.delivered)
		s.clients[name] = &cc
	}
	for offset, m := range s.inFlight {
		mm := *m
		s.inFlight[offset] = &mm
	}
	return &c
}

// arrive is a call of a client. What it leads to is for settle.
func (w *world) arrive(c worldCall) {
	switch c.what {
	case "publish":
		w.head++
		if w.sub == nil {
			w.end(c, ok)
			return
		}
		w.sub.ring = append(w.sub.ring, w.head-1)
		w.sub.ring = w.sub.ring[max(0, len(w.sub.ring)-worldRing):]
		w.enqueue(c, worldCommand{what: "wake-up"})
	case "close": // the broker notices that a client has closed its stream
		client := w.sub.clients[c.name]
		w.leave(client)
		client.closing = c.id
		w.enqueue(c, worldCommand{what: "requeue", name: c.name}, worldCommand{what: "wake-up"})
	default:
		w.table = append(w.table, c)
	}
}

// enter is a call that has got the table. Only an Ack or Nack keeps it until its command has a place.
func (w *world) enter(c worldCall) {
	s := w.sub
	switch {
	case c.what == "other": // an Ack of another subscription, which has room
		w.end(c, ok)
	case c.what == "subscribe":
		w.subscribe(c)
	case s == nil && (c.what == "ack" || c.what == "nack"):
		w.end(c, "Internal")
	case c.what == "ack" || c.what == "nack":
		w.holder = c.id
		w.enqueue(c, worldCommand{what: c.what, offset: c.offset, delay: c.delay})
	case s == nil || (c.what != "unsubscribe" && s.clients[c.name] == nil):
		w.end(c, map[string]string{"health": "CLOSE", "open": "NotFound", "unsubscribe": "NotFound"}[c.what])
	case c.what == "health":
		w.end(c, map[bool]string{true: "OK", false: "CLOSE"}[s.clients[c.name].active()])
	case c.what == "open":
		w.opening = append(w.opening, c)
	case c.what == "unsubscribe":
		w.unsubscribe(c)
	}
}

func (w *world) subscribe(c worldCall) {
	if w.sub == nil {
		w.sub = &worldSub{
			kind: c.kind, policy: w.usual, clients: make(map[string]*worldClient), nextTick: w.now.Add(worldTick),
			inFlight: make(map[uint64]*worldMessage), done: make(map[uint64]bool),
		}
		if w.stored != nil {
			w.sub.policy = *w.stored
		}
	}
	s := w.sub
	if client := s.clients[c.name]; client != nil { // a takeover
		w.leave(client)
		client.subscribed = true
		w.enqueue(c, worldCommand{what: "requeue", name: c.name}, worldCommand{what: "wake-up"})
		return
	}
	if len(s.names) > 0 {
		if s.kind == exclusive {
			w.end(c, "PermissionDenied")
			return
		}
		live := s.policy
		w.stored = &live
	}
	s.names = append(s.names, c.name)
	s.clients[c.name] = &worldClient{subscribed: true}
	w.enqueue(c, worldCommand{what: "join", name: c.name})
}

func (w *world) unsubscribe(c worldCall) {
	for _, client := range w.sub.clients {
		if client.active() {
			w.end(c, "NotFound")
			return
		}
	}
	for _, waiter := range w.sub.line { // of publishers, whose messages are stored
		w.end(waiter.call, ok)
	}
	w.sub, w.stored = nil, nil
	w.end(c, ok)
}

// open gives a consumer its stream, which gets first what lies in the places. The stream before ends, and nothing is sent again.
func (w *world) open(c worldCall) {
	client := w.sub.clients[c.name]
	if client == nil {
		w.end(c, "NotFound")
		return
	}
	w.leave(client)
	client.stream, client.subscribed = c.id, false
	client.delivered = append(client.delivered, client.places...)
	client.places = nil
	w.end(c, ok)
}

// leave ends a consumer's stream, if there is one.
func (w *world) leave(c *worldClient) {
	if c.stream != 0 {
		w.gone[c.stream] = true
	}
	c.stream = 0
}

func (w *world) end(c worldCall, how string) {
	if w.holder == c.id {
		w.holder = 0
	}
	if c.what != "close" {
		w.ended[c.id] = how
		return
	}
	if client := w.sub.clients[c.name]; client.closing == c.id {
		client.closing = 0
	}
}

// giveUp is a client that waits no longer. What has a place in the queue stays there.
func (w *world) giveUp(id int) {
	is := func(c worldCall) bool { return c.id == id }
	w.table, w.opening = slices.DeleteFunc(w.table, is), slices.DeleteFunc(w.opening, is)
	if w.sub != nil {
		w.sub.line = slices.DeleteFunc(w.sub.line, func(l worldWaiter) bool { return l.call.id == id })
		w.place()
	}
	if w.holder == id {
		w.holder = 0
	}
}

func (w *world) enqueue(c worldCall, commands ...worldCommand) {
	w.sub.line = append(w.sub.line, worldWaiter{c, commands})
	w.place()
}

// place gives free places to those who wait longest.
func (w *world) place() {
	s := w.sub
	for len(s.line) > 0 && len(s.queue) < worldQueue {
		first := &s.line[0]
		s.queue = append(s.queue, first.commands[0])
		if first.commands = slices.Clone(first.commands[1:]); len(first.commands) == 0 {
			c := first.call
			s.line = s.line[1:]
			w.end(c, ok)
		}
	}
}

// key tells worlds apart.
func (w *world) key() string {
	text := fmt.Sprintln(w.head, w.holder, w.table, w.opening, w.ended, w.gone, w.stored != nil)
	if w.sub == nil {
		return text
	}
	s := *w.sub
	text += fmt.Sprintln(s.names, s.queue, s.line, s.overdue, s.members, s.turn, s.ring, s.work, s.lag, s.blocked, s.done)
	for _, name := range s.names {
		text += fmt.Sprintln(*s.clients[name])
	}
	for _, offset := range slices.Sorted(maps.Keys(s.inFlight)) {
		text += fmt.Sprintln(offset, *s.inFlight[offset])
	}
	if s.cursor != nil {
		text += fmt.Sprintln(*s.cursor)
	}
	return text
}
