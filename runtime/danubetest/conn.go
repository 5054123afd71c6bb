package danubetest

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc/peer"
)

// connections knows every open connection. It is a leaf in the lock order.
type connections struct {
	mu   sync.Mutex
	open map[*conn]struct{}
}

// closeAll closes every connection; listeners stay open.
func (cs *connections) closeAll() {
	for _, c := range cs.all() {
		_ = c.Close() // it may be closed already, which is what is wanted
	}
}

// all lists the open connections.
func (cs *connections) all() []*conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Keys(cs.open))
}

func (cs *connections) add(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open == nil {
		cs.open = make(map[*conn]struct{})
	}
	cs.open[c] = struct{}{}
}

// listener is a net.Listener whose connections are known.
type listener struct {
	net.Listener
	conns   *connections
	refuses func(net.Addr) bool // who is not let in
}

func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, all: l.conns, subscribed: make(map[*consumer]struct{})}
	l.conns.add(c)
	// Asked after it is known: a fault that comes at this moment either sees the connection or is seen here.
	if l.refuses(nc.RemoteAddr()) {
		_ = c.Close() // the server finds a closed connection, which it expects at any time
	}
	return c, nil
}

// A conn remembers the consumers that subscribed over it and have not opened their stream yet: they count as connected until it is
// closed. It finds its way to the handlers through the peer's address.
type conn struct {
	net.Conn
	all        *connections
	once       sync.Once
	mu         sync.Mutex
	closed     bool
	subscribed map[*consumer]struct{}
}

// connAddr is a remote address that knows its connection.
type connAddr struct {
	net.Addr
	conn *conn
}

func (c *conn) RemoteAddr() net.Addr { return connAddr{c.Conn.RemoteAddr(), c} }

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.all.mu.Lock()
		delete(c.all.open, c)
		c.all.mu.Unlock()

		c.mu.Lock()
		left := c.subscribed
		c.subscribed, c.closed = nil, true
		c.mu.Unlock()
		for consumer := range left {
			consumer.connectionClosed(c)
		}
	})
	return err
}

// remember says that consumer is connected by this connection alone; it returns false when the connection is closed.
func (c *conn) remember(consumer *consumer) bool {
	if c == nil {
		return true // a call without a connection that we know
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.subscribed[consumer] = struct{}{}
	return true
}

// forget undoes remember.
func (c *conn) forget(consumer *consumer) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.subscribed, consumer)
}

// connOf returns the connection that a call came by, nil if it is not one of ours.
func connOf(ctx context.Context) *conn {
	if p, ok := peer.FromContext(ctx); ok {
		if addr, ok := p.Addr.(connAddr); ok {
			return addr.conn
		}
	}
	return nil
}
