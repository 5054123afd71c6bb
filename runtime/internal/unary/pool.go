// Package unary makes unary gRPC calls at a fraction of what grpc-go costs: many calls under way on one HTTP/2 connection, written in large
// blocks and answered by callbacks, with no goroutine, timer or context of their own.
//
// It knows HTTP/2 and gRPC's framing, nothing of what is called. Frames and header compression are those of golang.org/x/net/http2. It does
// not do streaming, compression of messages, name resolution, balancing or retries.
//
// Each connection has two goroutines: one reads and calls back, one writes. Everything else, calls, windows and deadlines, belongs to a link, a
// place for one connection and its successors, and is guarded by the link's one lock, which is never held while the network or a callback runs.
package unary

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

// A Config says where calls go. Only Addr is required.
type Config struct {
	Addr      string      // host:port
	Authority string      // the :authority of requests; Addr by default
	TLS       *tls.Config // nil for plain text; ServerName is Addr's host by default, and the server must choose h2
	// Dial opens a connection; TCP by default.
	Dial           func(ctx context.Context, addr string) (net.Conn, error)
	ConnectTimeout time.Duration // for dialling, TLS and the server's first frame together; 10 s by default
	// Connections is how many connections share the calls; 1 by default. Calls on one connection are sent in the order of their start.
	Connections int
	// Calls are under way and nothing has come for PingInterval (20 s): a PING goes out, and if still nothing comes for PingTimeout
	// (10 s), the connection is given up.
	PingInterval, PingTimeout time.Duration
	MaxResponse               int         // largest encoded answer in bytes; 4 MiB by default
	Logger                    *zap.Logger // told of connections that end badly; silent by default
}

func (c Config) withDefaults() Config {
	if c.Authority == "" {
		c.Authority = c.Addr
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	c.ConnectTimeout = orDefault(c.ConnectTimeout, 10*time.Second)
	c.PingInterval = orDefault(c.PingInterval, 20*time.Second)
	c.PingTimeout = orDefault(c.PingTimeout, 10*time.Second)
	c.MaxResponse = min(orDefault(c.MaxResponse, 4<<20), 1<<30)
	c.Connections = orDefault(c.Connections, 1)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.NextProtos = []string{"h2"}
		if c.TLS.ServerName == "" {
			c.TLS.ServerName = c.Addr
			if host, _, err := net.SplitHostPort(c.Addr); err == nil {
				c.TLS.ServerName = host
			}
		}
	}
	return c
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// A Pool makes calls to one address. Its methods may be called concurrently.
type Pool struct {
	config Config
	ctx    context.Context // done once the pool is closed
	cancel context.CancelFunc
	links  []*link
	turn   atomic.Uint32
	broken atomic.Pointer[error]
	work   sync.WaitGroup // the goroutines of connections
	idle   sync.Pool      // of invocations
}

// New makes a pool. It does not connect: the first call does, and the first after a loss.
func New(config Config) *Pool {
	p := &Pool{config: config.withDefaults(), idle: sync.Pool{New: newInvocation}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for range p.config.Connections {
		p.links = append(p.links, newLink(p))
	}
	return p
}

// Start sends c on its way and returns at once; its Owner is told how it ended. Without a connection the call waits for one to be made. If that
// fails, or failed a moment ago, the call ends as Unavailable.
func (p *Pool) Start(c *Call) {
	c.Code, c.Message, c.Unprocessed, c.cause = codes.OK, "", false, nil
	c.Response = c.Response[:0]
	c.link, c.id, c.sent, c.credit, c.answer = nil, 0, 0, 0, answer{}
	var failed *Error
	if c.Deadline.IsZero() {
		failed = &Error{Code: codes.Internal, Message: "call " + c.Method + " has no deadline"}
	} else {
		turn := int(p.turn.Add(1)) // a link that cannot connect leaves its calls to the others
		for i := range p.links {
			if failed = p.links[(turn+i)%len(p.links)].start(c); failed == nil {
				return
			}
		}
	}
	c.fail(*failed)
	c.Unprocessed = true
	go c.Owner.Answered(c) // not from here: the caller may hold a lock that its owner takes, or start the call again from there
}

// An invocation is a call that somebody waits for.
type invocation struct {
	Call
	done chan struct{}
}

// Answered wakes the one who waits.
func (i *invocation) Answered(*Call) { i.done <- struct{}{} }

func newInvocation() any {
	i := &invocation{done: make(chan struct{}, 1)}
	i.Owner = i
	return i
}

// Invoke makes a call and waits for the answer, which belongs to the caller, or until ctx is done, which resets the stream. ctx must have a
// deadline. The error is an [Error].
func (p *Pool) Invoke(ctx context.Context, method string, h *Header, request []byte) ([]byte, error) {
	i := p.idle.Get().(*invocation)
	i.Method, i.Header, i.Request = method, h, request
	i.Deadline, _ = ctx.Deadline()
	p.Start(&i.Call)
	select {
	case <-i.done:
	case <-ctx.Done():
		if i.link != nil {
			i.link.abandon(&i.Call, ctx.Err())
		}
		<-i.done
	}
	response, err := i.Response, i.Err()
	i.Header, i.Request, i.Response = nil, nil, nil
	p.idle.Put(i)
	if err != nil {
		return nil, err
	}
	return response, nil
}

// Broken is nil as long as the peer has behaved. Once it has not, and trying again is of no use, it says how, wraps [ErrProtocol], and stays:
// a caller that has another way to the server should take it from then on.
func (p *Pool) Broken() error {
	if err := p.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Close ends all calls as Canceled and waits until their owners were told and the connections are gone. Calls started later end in the same way.
func (p *Pool) Close() error {
	p.cancel()
	for _, l := range p.links {
		l.close()
	}
	p.work.Wait()
	return nil
}
