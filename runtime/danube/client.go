package danube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
)

const (
	// callTimeout bounds every unary call. An Ack that hangs holds the whole topic on the broker until its deadline.
	callTimeout = 5 * time.Second
	// sendTimeout is longer: a send that hangs is usually stored, and giving up early only makes a duplicate.
	sendTimeout = 15 * time.Second
	// maxMessageBytes is what the broker's transport takes for one encoded request.
	maxMessageBytes = 4 << 20
	// headRoom is left for ids, names and attributes; payload and attributes together stay below maxMessageBytes less this.
	headRoom = 64 << 10
)

// reconnect paces every retry of the client.
var reconnect = backoff.Policy{Base: 100 * time.Millisecond, Max: 5 * time.Second}

// What connections are given.
const (
	pingAfter      = 20 * time.Second
	pingTimeout    = 10 * time.Second
	connectTimeout = 3 * time.Second
)

// A Client makes producers and consumers of one Danube cluster. It connects when something is first needed and keeps one
// connection per broker. Its methods may be called concurrently.
type Client struct {
	service  address // what the caller named
	dialer   func(context.Context, string) (net.Conn, error)
	log      *zap.Logger
	security security
	told     sync.Map // advertised URLs that were complained about

	plainCalls bool // see WithoutPipelining

	mu     sync.Mutex
	ends   map[address]*endpoint
	closed bool

	schemas    schemaCache
	publishers publishers
}

// An Option changes how New makes a Client. What is wrong with it is said by New.
type Option func(*Client) error

// WithLogger makes the client tell of lost connections and recoveries; by default it says nothing.
func WithLogger(log *zap.Logger) Option {
	return func(c *Client) error {
		c.log = log
		return nil
	}
}

// WithoutPipelining makes publishes and acknowledgements go through grpc-go like all other calls, which costs several times as much. It is
// for proxies that take no other client; where one breaks the rules of HTTP/2, the client turns to grpc-go by itself.
func WithoutPipelining() Option {
	return func(c *Client) error {
		c.plainCalls = true
		return nil
	}
}

// WithDialer replaces the TCP dialer, for example by an in-memory listener's. It gets host:port. The default connects directly and takes
// no notice of HTTP proxies in the environment.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return func(c *Client) error {
		c.dialer = dial
		return nil
	}
}

// New makes a client of the cluster behind serviceURL, such as http://localhost:6650; https:// asks for TLS of version 1.2 or later. It
// does not connect. The error says what is wrong with the URL or an option.
func New(serviceURL string, opts ...Option) (*Client, error) {
	service, err := parseURL(serviceURL)
	if err != nil {
		return nil, err
	}
	c := &Client{service: service, dialer: dialTCP, log: zap.NewNop(), ends: make(map[address]*endpoint)}
	for _, opt := range opts {
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	if c.security.tokens != nil {
		c.security.tokens.log = c.log
	}
	return c, nil
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// Close closes the connections. Close producers and consumers first.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for _, e := range c.ends {
		errs = append(errs, e.close())
	}
	clear(c.ends)
	return errors.Join(errs...)
}

// endpoint gives the way to a broker, made at the first call.
func (c *Client) endpoint(at address) (*endpoint, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if e := c.ends[at]; e != nil {
		return e, nil
	}
	e := &endpoint{addr: at.hostPort, dial: c.dialer, tokens: c.security.tokens}
	if at.secure {
		e.tls = c.security.tlsTo(at.host())
	}
	if err := e.open(c.security.serverName, !c.plainCalls, c.log); err != nil {
		return nil, fmt.Errorf("connect to broker %s: %w", at.hostPort, err)
	}
	c.ends[at] = e
	return e, nil
}

// conn is the connection of an endpoint.
func (c *Client) conn(at address) (*grpc.ClientConn, error) {
	e, err := c.endpoint(at)
	if err != nil {
		return nil, err
	}
	return e.conn, nil
}

var errClosed = &localError{
	kind: ErrClosed, code: codes.Canceled, permanent: true, text: "the client is closed", mend: "close producers and consumers before their client",
}
