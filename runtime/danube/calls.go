package danube

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// Methods that are called often enough to be encoded by hand.
const (
	methodSend = "/danube.ProducerService/SendMessage"
	methodAck  = "/danube.ConsumerService/Ack"
	methodNack = "/danube.ConsumerService/Nack"
)

// A caller starts calls and never waits for the network.
type caller interface{ start(c *unary.Call) }

// pipelined makes calls on a connection of their own, many under way in few large blocks, which costs a fraction of what grpc-go does.
// Whatever it does not bear itself grpc-go does: a peer that breaks the rules of HTTP/2, and getting another token.
type pipelined struct {
	pool   *unary.Pool
	tokens *tokens                     // nil where none is sent
	proxy  func() (name, value string) // a header that each call must carry, empty for none
	plain  grpcCalls

	header atomic.Pointer[tokenHeaders]
}

// tokenHeaders are the headers made ready with one token.
type tokenHeaders struct {
	token  string
	header *unary.Header
}

func (p *pipelined) start(c *unary.Call) {
	token, due := "", false
	if p.tokens != nil {
		token, _, due = p.tokens.now()
	}
	header, err := p.headers(token)
	if due || err != nil || p.pool.Broken() != nil {
		p.plain.start(c)
		return
	}
	if p.tokens != nil {
		c.Owner = &bearer{calls: p, owner: c.Owner, token: token}
	}
	c.Header = header
	p.pool.Start(c)
}

// A bearer owns a call that carries a token.
type bearer struct {
	calls *pipelined
	owner unary.Owner
	token string
}

// Answered passes the answer on, unless another token may be to be had.
func (b *bearer) Answered(c *unary.Call) {
	c.Owner = b.owner
	if c.Code == codes.Unauthenticated {
		go b.calls.again(c, b.token)
		return
	}
	b.owner.Answered(c)
}

// again makes a call once more whose token was refused, if another is to be had.
func (p *pipelined) again(c *unary.Call, refused string) {
	ctx, cancel := context.WithDeadline(context.Background(), c.Deadline)
	defer cancel()
	next, err := p.tokens.instead(ctx, refused)
	switch {
	case err != nil:
		c.End(err)
	case next == "":
		c.End(p.tokens.refused(refused, c.Err()))
	default:
		p.plain.start(c)
	}
}

// headers are those of each call with this token.
func (p *pipelined) headers(token string) (*unary.Header, error) {
	if have := p.header.Load(); have != nil && have.token == token {
		return have.header, nil
	}
	var pairs []string
	if token != "" {
		pairs = append(pairs, tokenHeader, token)
	}
	if name, value := p.proxy(); name != "" {
		pairs = append(pairs, name, value)
	}
	if pairs == nil {
		return nil, nil
	}
	header, err := unary.NewHeader(pairs...)
	if err == nil {
		p.header.Store(&tokenHeaders{token, header})
	}
	return header, err
}

// grpcCalls makes calls through grpc-go, each on a goroutine.
type grpcCalls struct {
	conn     *grpc.ClientConn
	metadata func(context.Context) context.Context // adds what each call must carry; nil adds nothing
}

func (g grpcCalls) start(c *unary.Call) {
	go func() {
		ctx, cancel := context.WithDeadline(context.Background(), c.Deadline)
		defer cancel()
		if g.metadata != nil {
			ctx = g.metadata(ctx)
		}
		// A copy: after a deadline grpc-go may still be about to write what the owner uses again.
		err := g.conn.Invoke(ctx, c.Method, bytes.Clone(c.Request), nil, grpc.ForceCodecV2(encoded{}))
		c.End(err)
	}()
}

// isTimeout tells whether a call met its deadline; a broker that notices it first says so in other words.
func isTimeout(err error) bool {
	st := status.Convert(err)
	return st.Code() == codes.DeadlineExceeded || st.Code() == codes.Canceled && strings.Contains(st.Message(), "Timeout expired")
}

// encoded is the codec of messages that are encoded already: a []byte is written as it is, a func([]byte) error is given what came and
// must keep nothing of it.
type encoded struct{}

var _ encoding.CodecV2 = encoded{}

// Name is empty, so that the content type stays that of every other call.
func (encoded) Name() string { return "" }

// Marshal takes a []byte.
func (encoded) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no encoded message", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

// Unmarshal takes a func([]byte) error, or nil where nobody needs what came.
func (encoded) Unmarshal(data mem.BufferSlice, v any) error {
	read, ok := v.(func([]byte) error)
	if !ok {
		return nil
	}
	if len(data) == 1 {
		return read(data[0].ReadOnlyData())
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	return read(whole.ReadOnlyData())
}
