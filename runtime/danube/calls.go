package danube

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// Methods that are called often enough to be encoded by hand.
const (
	methodSend = "/danube.ProducerService/SendMessage"
	methodAck  = "/danube.ConsumerService/Ack"
	methodNack = "/danube.ConsumerService/Nack"
)

// A call is one encoded unary request on its way.
type call struct {
	calls    caller
	method   string
	request  []byte // not touched by its owner until done
	deadline time.Time
	done     func() // called once, on a goroutine that it must not hold up; err is set
	err      error  // with the gRPC status of the answer
}

// A caller starts calls and never waits for the network.
type caller interface{ start(c *call) }

func (c *call) start() { c.calls.start(c) }

// isTimeout tells whether a call met its deadline; a broker that notices it first says so in other words.
func isTimeout(err error) bool {
	st := status.Convert(err)
	return st.Code() == codes.DeadlineExceeded || st.Code() == codes.Canceled && strings.Contains(st.Message(), "Timeout expired")
}

// grpcCalls makes calls through grpc-go, each on a goroutine.
type grpcCalls struct {
	conn     *grpc.ClientConn
	metadata func(context.Context) context.Context // adds what each call must carry; nil adds nothing
}

func (g grpcCalls) start(c *call) {
	go func() {
		ctx, cancel := context.WithDeadline(context.Background(), c.deadline)
		defer cancel()
		if g.metadata != nil {
			ctx = g.metadata(ctx)
		}
		// A copy: after a deadline grpc-go may still be about to write what the owner uses again.
		c.err = g.conn.Invoke(ctx, c.method, bytes.Clone(c.request), nil, grpc.ForceCodecV2(encoded{}))
		c.done()
	}()
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
