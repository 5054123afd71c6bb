package unary_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// A rig is a pool inside a synctest bubble, and the peers at the other ends of its connections.
type rig struct {
	t     *testing.T
	pool  *unary.Pool
	dials chan net.Conn
	calls []*waited
}

// A waited call counts how often it ended.
type waited struct {
	unary.Call
	ended int
	at    time.Time
}

// inRig runs a test on a fake clock. In the end, every call must have ended once.
func inRig(t *testing.T, c unary.Config, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, dials: make(chan net.Conn, 100)}
		if c.Dial == nil {
			c.Dial = func(context.Context, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				r.dials <- theirs
				return ours, nil
			}
		}
		c.Addr = "server:1"
		r.pool = unary.New(c)
		test(t, r)
		require.NoError(t, r.pool.Close())
		synctest.Wait()
		for i, c := range r.calls {
			require.Equal(t, 1, c.ended, "how often call %d ended", i)
		}
	})
}

// start starts a call with 5 s to live.
func (r *rig) start(request string) *waited { return r.startWithin(request, 5*time.Second) }

func (r *rig) startWithin(request string, timeout time.Duration) *waited {
	c := &waited{}
	c.Method, c.Request, c.Deadline = method, []byte(request), time.Now().Add(timeout)
	c.Owner = unary.Func(func(*unary.Call) {
		c.ended++
		c.at = time.Now()
	})
	r.calls = append(r.calls, c)
	r.pool.Start(&c.Call)
	return c
}

// A peer is a server by hand. It reads frames as the test asks for them, and sends anything.
type peer struct {
	t      *testing.T
	conn   net.Conn
	frames *http2.Framer
	block  bytes.Buffer
	hpack  *hpack.Encoder
}

// accept takes the next connection up to where the client has sent its preface.
func (r *rig) accept() *peer {
	r.t.Helper()
	p := &peer{t: r.t}
	select {
	case p.conn = <-r.dials:
	case <-time.After(time.Minute):
		require.Fail(r.t, "the client does not connect")
	}
	r.t.Cleanup(func() { p.conn.Close() })
	p.frames = http2.NewFramer(p.conn, p.conn)
	p.frames.AllowIllegalWrites = true
	p.hpack = hpack.NewEncoder(&p.block)
	preface := make([]byte, len(http2.ClientPreface))
	_, err := io.ReadFull(p.conn, preface)
	require.NoError(r.t, err)
	require.Equal(r.t, http2.ClientPreface, string(preface))
	next[*http2.SettingsFrame](p)
	next[*http2.WindowUpdateFrame](p)
	return p
}

// greet accepts a connection and sends the server's settings.
func (r *rig) greet(settings ...http2.Setting) *peer {
	r.t.Helper()
	p := r.accept()
	require.NoError(r.t, p.frames.WriteSettings(settings...))
	require.True(r.t, next[*http2.SettingsFrame](p).IsAck())
	return p
}

// dial makes a first call, and gives the connection that it left behind.
func (r *rig) dial() *peer {
	r.t.Helper()
	c := r.start("first")
	p := r.greet()
	id, _ := p.request()
	p.answer(id, "")
	c.succeeded(r.t, "")
	return p
}

// next reads one frame, which must be an F.
func next[F http2.Frame](p *peer) F {
	p.t.Helper()
	f, err := p.read()
	require.NoError(p.t, err)
	want, ok := f.(F)
	require.True(p.t, ok, "%v came instead of a %T", f, want)
	return want
}

func (p *peer) read() (http2.Frame, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	return p.frames.ReadFrame()
}

// request reads a request that comes in one piece and gives its stream and message.
func (p *peer) request() (id uint32, message string) {
	p.t.Helper()
	h := next[*http2.HeadersFrame](p)
	require.True(p.t, h.HeadersEnded())
	d := next[*http2.DataFrame](p)
	require.Equal(p.t, h.StreamID, d.StreamID)
	require.True(p.t, d.StreamEnded())
	return h.StreamID, string(d.Data()[5:])
}

// quiet asserts that the client has nothing to say for a second.
func (p *peer) quiet() {
	p.t.Helper()
	require.NoError(p.t, p.conn.SetReadDeadline(time.Now().Add(time.Second)))
	f, err := p.frames.ReadFrame()
	var timeout net.Error
	require.True(p.t, errors.As(err, &timeout) && timeout.Timeout(), "%v came, error %v", f, err)
}

// fields makes a header block of names and values in turn.
func (p *peer) fields(pairs ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		require.NoError(p.t, p.hpack.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}))
	}
	return bytes.Clone(p.block.Bytes())
}

func (p *peer) headers(id uint32, end bool, pairs ...string) {
	p.t.Helper()
	require.NoError(p.t, p.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(pairs...), EndHeaders: true, EndStream: end}))
}

func (p *peer) data(id uint32, end bool, data string) {
	p.t.Helper()
	require.NoError(p.t, p.frames.WriteData(id, end, []byte(data)))
}

// begin sends the headers of an answer, message one of it, and trailers its end.
func (p *peer) begin(id uint32) {
	p.headers(id, false, ":status", "200", "content-type", "application/grpc")
}
func (p *peer) message(id uint32, m string) {
	p.data(id, false, string([]byte{0, 0, 0, byte(len(m) >> 8), byte(len(m))})+m)
}
func (p *peer) trailers(id uint32, status string) { p.headers(id, true, "grpc-status", status) }

func (p *peer) answer(id uint32, m string) {
	p.begin(id)
	p.message(id, m)
	p.trailers(id, "0")
}

// raw sends a frame as it is.
func (p *peer) raw(kind http2.FrameType, flags http2.Flags, id uint32, payload string) {
	require.NoError(p.t, p.frames.WriteRawFrame(kind, flags, id, []byte(payload)))
}

// succeeded asserts how a call ended.
func (c *waited) succeeded(t *testing.T, response string) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, 1, c.ended, "the call has not ended")
	require.NoError(t, c.Err())
	require.Equal(t, response, string(c.Response))
}

func (c *waited) failed(t *testing.T, code codes.Code, text string) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, 1, c.ended, "the call has not ended")
	require.Equal(t, code, c.Code, c.Message)
	require.Contains(t, c.Message, text)
}
