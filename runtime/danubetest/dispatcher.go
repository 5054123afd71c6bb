package danubetest

import (
	"container/list"
	"time"
)

// A dispatcher holds the rules of one subscription: which message goes to which consumer and when. It puts messages into the
// consumers' outboxes and is told what happens to them. Every call is made with the topic locked, acts at once and does not block.
type dispatcher interface {
	// published says that the topic's head has moved.
	published()
	// opened says that c has a new receive stream, or that its stream was replaced.
	opened(c *consumer)
	// lost says that c has no receive stream any more.
	lost(c *consumer)
	// taken says that c's stream has taken d from the outbox to send it now.
	taken(d *delivery, now time.Time)
	// ack and nack are what clients say about a message; one that is not in flight is none of their business.
	ack(offset uint64)
	nack(offset uint64, delay time.Duration, reason string)
	// configure changes window and failure policy from now on.
	configure(window int, policy FailurePolicy)
	// floor is the lowest offset that the subscription still needs.
	floor() uint64
	// position is what a new dispatcher needs to go on where this one stands.
	position() position
	// backlog is the number of messages not acknowledged, those never read included.
	backlog() int
	// unacked is the number of messages in flight: handed over or waiting to be handed over again.
	unacked() int
	// blocked says that the poison policy Block has stopped the subscription.
	blocked() bool
	// stop ends all timers and gives back what the outboxes hold; no other call follows.
	stop()
}

// position is how far a subscription has come: everything below next is acknowledged but what unacked names, in ascending order.
type position struct {
	next    uint64
	unacked []uint64
}

// delivery is one message on its way through one subscription.
type delivery struct {
	stored
	state  deliveryState
	to     *consumer
	count  uint32    // times that a stream took it
	sentAt time.Time // when the ack timeout began
	due    time.Time // when a waiting one is to be sent again
	reason string    // why the last delivery failed, for the dead letter

	inOrder *list.Element // place among the unacknowledged, by offset
	inSent  *list.Element // place among those with a running ack timeout
	inPile  int           // index in the pile that holds it
}

type deliveryState int

const (
	stateReady     deliveryState = iota // to be sent as soon as a consumer is there
	stateQueued                         // in the outbox of a consumer
	stateSent                           // taken by a stream; only these can be acknowledged
	stateWaiting                        // to be sent again when due
	stateExhausted                      // delivered too often, and Block holds it
	stateDying                          // delivered too often, and on its way to the dead letters
	stateHeld                           // on Key-Shared: behind an older message of its key
	stateParked                         // on Key-Shared: no consumer that is there wants its key
)

// pile is a heap of deliveries for container/heap.
type pile struct {
	items []*delivery
	less  func(a, b *delivery) bool
}

func byOffset(a, b *delivery) bool { return a.offset < b.offset }

func byDue(a, b *delivery) bool {
	if a.due.Equal(b.due) {
		return a.offset < b.offset
	}
	return a.due.Before(b.due)
}

func (p *pile) Len() int           { return len(p.items) }
func (p *pile) Less(i, j int) bool { return p.less(p.items[i], p.items[j]) }

func (p *pile) Swap(i, j int) {
	p.items[i], p.items[j] = p.items[j], p.items[i]
	p.items[i].inPile, p.items[j].inPile = i, j
}

func (p *pile) Push(x any) {
	d := x.(*delivery)
	d.inPile = len(p.items)
	p.items = append(p.items, d)
}

func (p *pile) Pop() any {
	last := len(p.items) - 1
	d := p.items[last]
	p.items[last] = nil
	p.items = p.items[:last]
	return d
}
