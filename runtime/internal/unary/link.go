package unary

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
)

// redial paces connecting after failures. A connection that ends before it gave one answer counts as a failure too.
var redial = backoff.Policy{Base: 100 * time.Millisecond, Max: 5 * time.Second}

// deadlineStep is how much later than its deadline a call may end at most, for the sake of ending many at once.
const deadlineStep = time.Millisecond

// A link is a place for one connection at a time, and what it has to do outlives the connection. Old connections that the server asked
// to leave finish their calls beside the new one.
type link struct {
	pool *Pool

	mu       sync.Mutex // guards everything below, all of its connections, and the calls of both
	waiting  list       // calls without a stream yet
	current  *conn      // gives streams to waiting calls; nil when there is none
	conns    []*conn    // all that live, current among them
	dialing  bool
	failures int // one after the other
	retryAt  time.Time
	lastErr  *Error // the latest of them
	closed   bool
	done     list        // calls that have ended; unlock tells their owners
	timer    *time.Timer // one for all deadlines and pings
	timerAt  time.Time   // zero when the timer is not set
}

func newLink(p *Pool) *link {
	l := &link{pool: p}
	l.timer = time.AfterFunc(time.Hour, l.tick)
	l.timer.Stop()
	return l
}

// unlock lets go of the lock and then tells the owners of calls that have ended.
func (l *link) unlock() {
	ended := l.done.head
	l.done = list{}
	l.mu.Unlock()
	for ended != nil {
		c := ended
		ended, c.next = c.next, nil
		c.Owner.Answered(c)
	}
}

// start takes a call, or says why there is no connection for it.
func (l *link) start(c *Call) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosing
	}
	if l.current == nil && !l.dialing {
		if time.Now().Before(l.retryAt) {
			return l.lastErr
		}
		l.dial()
	}
	c.link, c.busy = l, true
	l.waiting.push(c)
	l.arm(c.Deadline)
	if l.current != nil {
		l.current.rouse()
	}
	return nil
}

var errClosing = &Error{Code: codes.Canceled, Message: "the connection is closing"}

// finish ends a call; unlock will call it back. The lock is held.
func (l *link) finish(c *Call, e Error) {
	if c.conn == nil {
		l.waiting.remove(c)
		e.Unprocessed = true
	} else {
		c.conn.forget(c)
	}
	c.busy, c.conn = false, nil
	c.fail(e)
	l.done.push(c)
}

// cut ends a call that the server may still be busy with, so its stream is reset. The lock is held.
func (l *link) cut(c *Call, e Error) {
	if c.conn != nil {
		c.conn.reset(c.id)
	}
	l.finish(c, e)
}

// abandon ends a call whose context is done, unless it has ended.
func (l *link) abandon(c *Call, why error) {
	l.mu.Lock()
	defer l.unlock()
	if !c.busy {
		return
	}
	e := Error{Code: codes.Canceled, Message: why.Error(), cause: why}
	if errors.Is(why, context.DeadlineExceeded) {
		e.Code = codes.DeadlineExceeded
	}
	l.cut(c, e)
}

// dial makes a new connection in the background. The lock is held.
func (l *link) dial() {
	l.dialing = true
	l.pool.work.Go(func() {
		c, err := l.connect()
		l.mu.Lock()
		defer l.unlock()
		l.dialing = false
		if l.closed {
			if c != nil {
				c.nc.Close()
			}
			return
		}
		if err != nil {
			l.failed(fmt.Errorf("connect to %s: %w", l.pool.config.Addr, err))
			return
		}
		l.current = c
		l.conns = append(l.conns, c)
		l.pool.work.Go(c.read)
		l.pool.work.Go(c.write)
	})
}

// connect dials, agrees on TLS and HTTP/2 and returns a connection that is ready.
func (l *link) connect() (*conn, error) {
	config := &l.pool.config
	ctx, cancel := context.WithTimeout(l.pool.ctx, config.ConnectTimeout)
	defer cancel()
	nc, err := config.Dial(ctx, config.Addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	c, err := l.greet(ctx, nc)
	if err == nil && stop() {
		return c, nil
	}
	nc.Close()
	switch {
	case err == nil:
		err = ctx.Err()
	case ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return nil, err
}

func (l *link) greet(ctx context.Context, nc net.Conn) (*conn, error) {
	if config := l.pool.config.TLS; config != nil {
		secure := tls.Client(nc, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		if p := secure.ConnectionState().NegotiatedProtocol; p != "h2" {
			return nil, fmt.Errorf("%w: the server chose protocol %q instead of h2 in the TLS handshake", ErrProtocol, p)
		}
		nc = secure
	}
	c := newConn(l, nc)
	return c, c.greet()
}

// failed is for when there is no connection, nor will there be one soon: all that wait are told. The lock is held.
func (l *link) failed(why error) {
	l.failures++
	l.retryAt = time.Now().Add(redial.Delay(l.failures))
	l.lastErr = &Error{Code: codes.Unavailable, Message: why.Error(), cause: why}
	l.pool.note(why)
	for l.waiting.head != nil {
		l.finish(l.waiting.head, *l.lastErr)
	}
}

// leave takes c out of use for new calls; why is what to tell calls that wait, should there be no successor. The lock is held.
func (l *link) leave(c *conn, why error) {
	if l.current != c {
		return
	}
	l.current = nil
	switch {
	case l.closed:
	case !c.answered:
		l.failed(why)
	case l.waiting.head != nil:
		l.dial()
	}
}

// arm makes sure that tick runs at t or before. The lock is held.
func (l *link) arm(t time.Time) {
	if l.timerAt.IsZero() || t.Before(l.timerAt) {
		l.timerAt = t
		l.timer.Reset(time.Until(t))
	}
}

// tick ends the calls whose time is up and looks after the connections. It looks at every call, but runs seldom: the timer stands at the earliest
// deadline of the calls there were at the last tick, most of which have long been answered when it goes off.
func (l *link) tick() {
	l.mu.Lock()
	defer l.unlock()
	if l.closed {
		return
	}
	now := time.Now()
	next := l.expire(&l.waiting, now, time.Time{})
	for _, c := range slices.Clone(l.conns) {
		next = earlier(next, c.checkAlive(now))
		next = l.expire(&c.open, now, next)
	}
	l.timerAt = next
	if !next.IsZero() {
		l.timer.Reset(max(next.Sub(now), deadlineStep))
	}
}

// expire ends the calls of a list whose deadline has come, and returns the earliest of next and of the deadlines left.
func (l *link) expire(calls *list, now, next time.Time) time.Time {
	for c := calls.head; c != nil; {
		after := c.next
		if c.Deadline.After(now) {
			next = earlier(next, c.Deadline)
		} else {
			l.cut(c, errDeadline)
		}
		c = after
	}
	return next
}

var errDeadline = Error{Code: codes.DeadlineExceeded, Message: context.DeadlineExceeded.Error(), cause: context.DeadlineExceeded}

// earlier is the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (l *link) close() {
	l.mu.Lock()
	defer l.unlock()
	l.closed = true
	l.timer.Stop()
	for l.waiting.head != nil {
		l.finish(l.waiting.head, *errClosing)
	}
	for _, c := range slices.Clone(l.conns) {
		c.end(errClosing)
	}
}

// note remembers a peer that misbehaves.
func (p *Pool) note(err error) {
	if errors.Is(err, ErrProtocol) && p.broken.CompareAndSwap(nil, &err) {
		p.config.Logger.Warn("the peer breaks the rules of HTTP/2", zap.String("address", p.config.Addr), zap.Error(err))
	}
}
