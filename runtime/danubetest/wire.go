package danubetest

import (
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// grpc-go takes 64 KiB per stream beyond what the client's flow control lets through. The real broker does not, so under the trap
// hand-over a stream sends one message at a time and learns by way of its buffer when the last byte has passed.

// tracked is a message whose sender wants to know when it is through.
type tracked struct {
	msg     *danubepb.StreamMessage
	through func() // called once, when nobody needs the encoded message any more
}

// wireCodec encodes tracked messages beside all others.
type wireCodec struct{ encoding.CodecV2 }

// poolThreshold is above the size below which grpc-go does not give buffers back to their pool.
const poolThreshold = 2 << 10

// Marshal implements [encoding.CodecV2].
func (c wireCodec) Marshal(v any) (mem.BufferSlice, error) {
	t, ok := v.(*tracked)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	data, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 0, max(poolThreshold, proto.Size(t.msg))), t.msg)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(&data, &oneBuffer{through: t.through})}, nil
}

// oneBuffer is the pool of a single buffer, of which it only hears that it comes back.
type oneBuffer struct {
	once    sync.Once
	through func()
}

// Get implements [mem.BufferPool].
func (p *oneBuffer) Get(length int) *[]byte {
	data := make([]byte, length)
	return &data
}

// Put implements [mem.BufferPool].
func (p *oneBuffer) Put(*[]byte) { p.once.Do(p.through) }

// codec is the server option that tracked messages need.
func (t traps) codec() grpc.ServerOption {
	if !t.has(trickling) {
		return grpc.EmptyServerOption{}
	}
	return grpc.ForceServerCodecV2(wireCodec{encoding.GetCodecV2("proto")})
}

// sendThrough sends each message when the one before has passed the client's flow control.
func sendThrough(st *stream, ss grpc.ServerStreamingServer[danubepb.StreamMessage], batch []stored) error {
	for _, m := range batch {
		through := make(chan struct{})
		if err := ss.SendMsg(&tracked{msg: m.msg, through: func() { close(through) }}); err != nil {
			return err
		}
		select {
		case <-through:
		case <-st.ended:
			return nil // the caller finds the reason
		case <-st.ctx.Done():
			return status.FromContextError(st.ctx.Err()).Err()
		}
	}
	return nil
}
