package danube

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

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

// A Client makes producers and consumers of one Danube cluster. It connects when something is first needed and keeps one
// connection per broker. Its methods may be called concurrently.
type Client struct {
	service string // host:port that the caller named
	secure  bool
	dialer  func(context.Context, string) (net.Conn, error)
	log     *zap.Logger
	roots   *x509.CertPool                        // nil for the system's
	token   func(context.Context) (string, error) // nil for none

	mu     sync.Mutex
	conns  map[string]*grpc.ClientConn // by host:port
	closed bool

	schemas    schemaCache
	publishers publishers
}

// An Option changes how New makes a Client.
type Option func(*Client)

// WithLogger makes the client tell of lost connections and recoveries; by default it says nothing.
func WithLogger(log *zap.Logger) Option { return func(c *Client) { c.log = log } }

// WithDialer replaces the TCP dialer, for example by an in-memory listener's. It gets host:port.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return func(c *Client) { c.dialer = dial }
}

// New makes a client of the cluster behind serviceURL, such as http://localhost:6650; https:// asks for TLS with the system's
// certificates. It does not connect.
func New(serviceURL string, opts ...Option) (*Client, error) {
	addr, secure, err := parseURL(serviceURL)
	if err != nil {
		return nil, err
	}
	c := &Client{service: addr, secure: secure, log: zap.NewNop(), conns: make(map[string]*grpc.ClientConn)}
	for _, opt := range opts {
		opt(c)
	}
	return c, nil
}

// Close closes the connections. Close producers and consumers first.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	clear(c.conns)
	return errors.Join(errs...)
}

func parseURL(raw string) (addr string, secure bool, err error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", false, fmt.Errorf("broker URL %q is not of the form http://host:port, for example http://localhost:6650", raw)
	}
	port := u.Port()
	if port == "" {
		port = "6650"
	}
	return net.JoinHostPort(u.Hostname(), port), u.Scheme == "https", nil
}

// conn gives the connection to addr, made at the first call.
func (c *Client) conn(addr string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("client is closed")
	}
	if conn := c.conns[addr]; conn != nil {
		return conn, nil
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(c.transport()),
		// The broker sends no keepalive and answers client pings at any pace, so silence for 20 s plus 10 s is a dead peer.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: grpcBackoff, MinConnectTimeout: 3 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2 * maxMessageBytes)),
		// Flow control wide enough that a window of 10,000 messages of 1 KiB never makes the broker wait for this reader.
		grpc.WithInitialWindowSize(16 << 20), grpc.WithInitialConnWindowSize(32 << 20),
	}
	if c.token != nil {
		opts = append(opts, grpc.WithPerRPCCredentials(Bearer(c.token)))
	}
	if c.dialer != nil {
		opts = append(opts, grpc.WithContextDialer(c.dialer))
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to broker %s: %w", addr, err)
	}
	c.conns[addr] = conn
	return conn, nil
}
