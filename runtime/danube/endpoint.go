package danube

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// tokenHeader is where the broker looks for a token.
const tokenHeader = "authorization"

// An endpoint is how one broker, or the proxy before it, is reached. It holds all that a transport has to know, so that grpc-go is not
// the only one that can call it.
type endpoint struct {
	addr   string      // host:port
	tls    *tls.Config // nil for plain text; otherwise complete with server name and ALPN
	dial   func(ctx context.Context, addr string) (net.Conn, error)
	tokens *tokens // nil where none is sent

	conn     *grpc.ClientConn
	pool     *unary.Pool // for calls by the thousand; nil where grpc-go is to make them all
	answered atomic.Bool // a broker has answered here
}

// open makes the connections, which are dialled at the first call.
func (e *endpoint) open(serverName string, pipelining bool, log *zap.Logger) error {
	if pipelining {
		e.pool = unary.New(unary.Config{
			Addr: e.addr, TLS: e.tls, Dial: e.dial, ConnectTimeout: connectTimeout, PingInterval: pingAfter, PingTimeout: pingTimeout, Logger: log,
		})
	}
	transport := insecure.NewCredentials()
	if e.tls != nil {
		// Left to itself grpc-go verifies the host that it dials; a server name here would also become the :authority of every call.
		config := e.tls.Clone()
		config.ServerName = serverName
		transport = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient("passthrough:///"+e.addr,
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(e.dial),
		// The broker sends no keepalive and answers client pings at any pace, so silence for 20 s plus 10 s is a dead peer.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: grpcBackoff, MinConnectTimeout: connectTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*maxMessageBytes)),
		// Flow control wide enough that a window of 10,000 messages of 1 KiB never makes the broker wait for this reader.
		grpc.WithInitialWindowSize(16<<20), grpc.WithInitialConnWindowSize(32<<20),
		grpc.WithUnaryInterceptor(e.call), grpc.WithStreamInterceptor(e.stream),
	)
	e.conn = conn
	return err
}

// close ends the connections and all calls on them.
func (e *endpoint) close() error {
	err := e.conn.Close()
	if e.pool != nil {
		err = errors.Join(err, e.pool.Close())
	}
	return err
}

// call makes a unary call with what every one of them has: a deadline, a token, and an explanation of why nobody answers.
func (e *endpoint) call(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	err := e.authorized(ctx, func(token string) error {
		return invoke(withHeader(ctx, tokenHeader, token), method, req, reply, cc, opts...)
	})
	return e.explained(ctx, err)
}

// stream is call for streams of answers to one request.
func (e *endpoint) stream(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	var first grpc.ClientStream
	var token string
	err := e.authorized(ctx, func(t string) (err error) {
		token = t
		first, err = open(withHeader(ctx, tokenHeader, t), desc, cc, method, opts...)
		return err
	})
	if err != nil {
		return nil, e.explained(ctx, err)
	}
	return &answerStream{ClientStream: first, endpoint: e, token: token, again: func(token string) (grpc.ClientStream, error) {
		return open(withHeader(ctx, tokenHeader, token), desc, cc, method, opts...)
	}}, nil
}

// authorized makes a call with the value of the token header, empty for none. When the broker does not take the token, the call is made
// once more with another one if there is any: tokens end while calls are under way, and files that hold them are replaced.
func (e *endpoint) authorized(ctx context.Context, call func(token string) error) error {
	if e.tokens == nil {
		return call("")
	}
	token, err := e.tokens.get(ctx)
	if err != nil {
		return err
	}
	if err = call(token); status.Code(err) != codes.Unauthenticated {
		return err
	}
	next, none := e.tokens.instead(ctx, token)
	if none != nil {
		return none
	}
	if next == "" {
		return e.tokens.refused(token, err)
	}
	return e.tokens.refused(next, call(next))
}

// explained turns the failure to reach a broker that has never answered into one that says why.
func (e *endpoint) explained(ctx context.Context, err error) error {
	if e.answered.Load() {
		return err
	}
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Canceled:
		return err
	case codes.Unavailable:
		if e.conn.GetState() == connectivity.Ready {
			return err
		}
		if found := e.diagnose(ctx); found != nil {
			return found
		}
		return err
	}
	if _, local := err.(*localError); !local {
		e.answered.Store(true)
	}
	return err
}

// withHeader adds a header to a call, unless it has no value.
func withHeader(ctx context.Context, name, value string) context.Context {
	if value == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, name, value)
}

// An answerStream is opened again with another token when the first is not taken.
type answerStream struct {
	grpc.ClientStream
	endpoint *endpoint
	token    string
	again    func(token string) (grpc.ClientStream, error)
	request  any
	begun    bool // the first answer is there, which tells whether the token was taken
}

func (s *answerStream) SendMsg(m any) error {
	s.request = m
	return s.ClientStream.SendMsg(m)
}

func (s *answerStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if s.begun {
		return err
	}
	s.begun = true
	if s.endpoint.tokens != nil && status.Code(err) == codes.Unauthenticated {
		err = s.otherToken(m, err)
	}
	return s.endpoint.explained(s.Context(), err)
}

// otherToken opens the stream again, with a token in place of the one that was refused, and receives from it.
func (s *answerStream) otherToken(m any, refused error) error {
	tokens := s.endpoint.tokens
	next, err := tokens.instead(s.Context(), s.token)
	if err != nil {
		return err
	}
	if next == "" {
		return tokens.refused(s.token, refused)
	}
	s.ClientStream, err = s.again(next)
	if err == nil {
		err = s.ClientStream.SendMsg(s.request)
	}
	if err == nil {
		err = s.ClientStream.CloseSend()
	}
	if err == nil {
		err = s.ClientStream.RecvMsg(m)
	}
	return tokens.refused(next, err)
}
