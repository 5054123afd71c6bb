package danubetest

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A consumer is a name on a subscription. It keeps its id over disconnects. Its topic's lock guards everything but the constants.
type consumer struct {
	id      uint64
	name    string
	sub     *subscription
	filters []string

	conn    *conn   // connection of the last Subscribe while no stream was opened since
	stream  *stream // nil when none is open
	pending bool    // subscribed and not yet opened a stream: counts as connected
	removed bool    // no longer part of its subscription
	closing *ticket // of a lost stream whose end the dispatcher has not been told yet

	unhealthy bool // HealthCheck answers CLOSE, see Broker.CloseHealth

	outbox fifo[*delivery]
	keys   int // on Key-Shared: how many keys it owns

	places32 []uint32 // on the real broker's ring, see ringPlaces
}

// A stream is one ReceiveMessages call.
type stream struct {
	ctx   context.Context
	wake  chan struct{} // holds a token when the outbox has something new
	ended chan struct{} // closed when the broker ends the stream
	err   error         // how it ends; set before ended is closed, nil for OK
}

var errConnectionLost = status.Error(codes.Unavailable, "connection lost")

// connected says whether the consumer's client is there as far as the broker can know.
func (c *consumer) connected() bool {
	return c.pending || (c.stream != nil && c.stream.ctx.Err() == nil) || (c.closing != nil && !c.closing.finished)
}

// push puts d into the outbox.
func (c *consumer) push(d *delivery) {
	c.outbox.push(d)
	c.wake()
}

// wake tells the stream, if there is one, that there is something in the outbox.
func (c *consumer) wake() {
	if c.stream != nil {
		select {
		case c.stream.wake <- struct{}{}:
		default: // one token is enough: the stream empties the outbox
		}
	}
}

// open makes st the consumer's stream and ends the one before with OK.
func (c *consumer) open(ctx context.Context, st *stream) error {
	t := c.sub.topic
	if err := c.awaitClosing(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.removed {
		return errNoConsumer(c.id)
	}
	c.end(nil)
	c.stream, c.pending = st, false
	c.conn.forget(c)
	c.conn = nil
	t.broker.log.Debug("receive stream opened", "topic", t.name, "subscription", c.sub.name, "consumer", c.name)
	c.sub.dispatcher.opened(c)
	t.broker.changed()
	return nil
}

// end ends the stream, if there is one, with err, and tells nobody.
func (c *consumer) end(err error) {
	if c.stream != nil {
		c.stream.err = err
		close(c.stream.ended)
		c.stream = nil
	}
}

// lose ends the stream, if there is one, with err, and gives back what was in flight.
func (c *consumer) lose(err error) {
	c.leave(err)
	c.sub.dispatcher.lost(c)
	c.sub.topic.broker.changed()
}

// leave is lose without a word to the dispatcher.
func (c *consumer) leave(err error) {
	c.end(err)
	c.pending = false
	c.conn.forget(c)
	c.conn = nil
}

// awaitClosing waits until the dispatcher was told of the end of the last stream, and for the topic's table.
func (c *consumer) awaitClosing(ctx context.Context) error {
	t := c.sub.topic
	if err := t.table.hold(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	tk := c.closing
	t.mu.Unlock()
	t.table.release()
	if tk == nil {
		return nil
	}
	select {
	case <-tk.done:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// closed is called when the handler of st returns, whatever the reason.
func (c *consumer) closed(st *stream) {
	t := c.sub.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.stream == st {
		c.lose(nil)
		c.closing = c.sub.claim()
	}
}

// batchSize is how many messages a stream takes from the outbox at once.
const batchSize = 64

// Places of the real broker between a dispatcher and the flow control of a client. A stream has four of its own, and one message in
// hand.
const (
	consumerPlaces = 4
	streamPlaces   = 4
)

// places is how many messages the outbox may hold under the trap hand-over.
func (c *consumer) places() int {
	if c.stream == nil {
		return consumerPlaces
	}
	return consumerPlaces + streamPlaces
}

// take moves messages from the outbox into batch, which it returns. A stream that was replaced gets nothing.
func (c *consumer) take(st *stream, batch []stored) []stored {
	t := c.sub.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.stream != st || c.outbox.len() == 0 {
		return batch
	}
	now := time.Now()
	for c.outbox.len() > 0 && len(batch) < c.sub.batch {
		d := c.outbox.pop()
		c.sub.delivered++
		if d.count > 0 {
			c.sub.redelivered++
		}
		c.sub.dispatcher.taken(d, now)
		batch = append(batch, d.stored)
		if t.duplicates > 0 {
			t.duplicates--
			c.sub.delivered++
			c.sub.redelivered++
			batch = append(batch, d.stored)
		}
	}
	t.broker.changed()
	return batch
}

// connectionClosed is called when the connection of the last Subscribe is gone.
func (c *consumer) connectionClosed(from *conn) {
	t := c.sub.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.conn == from && c.pending && !c.removed {
		c.lose(nil)
	}
}
