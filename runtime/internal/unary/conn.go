package unary

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

const (
	frameHeaderLen = 9
	maxFrameLen    = 16 << 10 // the server's frames are no larger, as SETTINGS_MAX_FRAME_SIZE is left at its default
	readBufferLen  = 64 << 10
	batchLen       = 64 << 10 // a write takes no more calls once it is that long
	maxHeaderList  = 64 << 10 // bytes of one answer's header list
	maxStreamID    = 1<<31 - 1
	maxWindow      = 1<<31 - 1
	// connWindow is what the server may send on a connection before it hears that we have read it; half of it gone, it hears.
	connWindow = 32 << 20
	// maxReplies bounds the answers to PING and SETTINGS that wait to be written. Beyond, the peer asks more than it reads.
	maxReplies = 1024
	// farewell is how long a peer that broke the rules has for taking the GOAWAY that says so.
	farewell = time.Second
)

// A conn is one HTTP/2 connection: read and write run as a goroutine each, from when the server has greeted until end was called.
// What follows the first three fields is guarded by the link's lock.
type conn struct {
	link *link
	nc   net.Conn
	in   *bufio.Reader // belongs to read

	frames  *http2.Framer // reads in, whole frames only; writes out
	out     buffer        // frames that write will send next
	wake    sync.Cond     // write waits here
	reading bool          // read is at work, and whoever would wake write leaves it to read to do so at the end
	roused  bool          // somebody did
	err     error         // why the connection ended; nil as long as it lives

	open    list // calls with a stream, in the order of their ids
	streams map[uint32]*Call
	sending []*Call // open calls whose request is not all sent
	nextID  uint32
	lastID  uint32 // of GOAWAY; streams above are not processed

	window       int64 // what the server takes now, all streams together
	firstWindow  int64 // what it takes on a new stream
	frameLen     int
	maxStreams   uint32
	maxHeaders   uint32
	headers      *headerWriter
	block        []byte // one block in the making
	headerReader headerReader

	received int // bytes of DATA that the server does not know yet that we have read
	replies  int // answers to PING and SETTINGS in out
	answered bool
	readAt   time.Time // when something last came
	pingAt   time.Time // when a PING was sent that nothing has followed; zero when there is none
}

// A buffer gathers what is to be written.
type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func newConn(l *link, nc net.Conn) *conn {
	scheme := "http"
	if l.pool.config.TLS != nil {
		scheme = "https"
	}
	c := &conn{
		link: l, nc: nc, in: bufio.NewReaderSize(nc, readBufferLen), streams: make(map[uint32]*Call), nextID: 1, lastID: maxStreamID,
		window: 65535, firstWindow: 65535, frameLen: maxFrameLen, maxStreams: maxStreamID, maxHeaders: 1<<32 - 1, readAt: time.Now(),
		headers: newHeaderWriter(scheme, l.pool.config.Authority),
	}
	c.wake.L = &l.mu
	c.frames = http2.NewFramer(&c.out, c.in)
	c.frames.SetReuseFrames()
	c.headerReader.hpack = hpack.NewDecoder(4096, c.headerReader.field)
	c.headerReader.hpack.SetMaxStringLength(maxHeaderList)
	return c
}

// greet sends the client's first frames and awaits the server's. The connection is not shared yet.
func (c *conn) greet() error {
	c.out = append(c.out, http2.ClientPreface...)
	err := errors.Join( // out takes everything
		c.frames.WriteSettings(
			http2.Setting{ID: http2.SettingEnablePush, Val: 0},
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: c.streamWindow()},
			http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaderList},
		),
		c.frames.WriteWindowUpdate(0, connWindow-65535),
	)
	if err != nil {
		return err
	}
	if _, err := c.nc.Write(c.out); err != nil {
		return fmt.Errorf("send the HTTP/2 preface: %w", err)
	}
	c.out = c.out[:0]
	h, err := c.peek()
	if err == nil && h.Type != http2.FrameSettings {
		err = fmt.Errorf("%w: the server's first frame is not SETTINGS but %v", ErrProtocol, h.Type)
	}
	if err == nil {
		err = c.frame()
	}
	switch {
	case errors.Is(err, io.EOF) && c.link.pool.config.TLS == nil:
		return fmt.Errorf("await the server's settings: it hung up, as one does that wants TLS: %w", err)
	case err != nil:
		return fmt.Errorf("await the server's settings: %w", err)
	}
	return nil
}

// streamWindow holds the largest answer, so that streams need no window updates.
func (c *conn) streamWindow() uint32 { return uint32(c.link.pool.config.MaxResponse + maxFrameLen) }

// peek waits until a whole frame is buffered.
func (c *conn) peek() (http2.FrameHeader, error) {
	head, err := c.in.Peek(frameHeaderLen)
	switch {
	case bytes.HasPrefix(head, []byte("HTTP/")):
		return http2.FrameHeader{}, fmt.Errorf("%w: it answers in HTTP/1", ErrProtocol)
	case bytes.HasPrefix(head, []byte{0x15, 3}): // an alert
		return http2.FrameHeader{}, errors.New("the server speaks TLS only")
	case err != nil:
		return http2.FrameHeader{}, err
	}
	h := frameHeader(head)
	if h.Length > maxFrameLen {
		return h, &violation{http2.ErrCodeFrameSize, fmt.Sprintf("a frame of %d bytes, where %d are allowed", h.Length, maxFrameLen)}
	}
	_, err = c.in.Peek(frameHeaderLen + int(h.Length))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return h, err
}

// buffered tells whether a whole frame can be read without waiting. Frames that are too long are for peek.
func (c *conn) buffered() bool {
	if c.in.Buffered() < frameHeaderLen {
		return false
	}
	head, _ := c.in.Peek(frameHeaderLen) // it is there
	h := frameHeader(head)
	return h.Length <= maxFrameLen && c.in.Buffered() >= frameHeaderLen+int(h.Length)
}

func frameHeader(b []byte) http2.FrameHeader {
	return http2.FrameHeader{Length: uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]), Type: http2.FrameType(b[3])}
}

// A violation of the protocol ends the connection; the peer is told.
type violation struct {
	code http2.ErrCode
	what string
}

func (v *violation) Error() string { return fmt.Sprintf("%v: %s (%v)", ErrProtocol, v.what, v.code) }
func (v *violation) Unwrap() error { return ErrProtocol }

// forget lets go of a call that has ended. The lock is held, as for all below.
func (c *conn) forget(call *Call) {
	c.open.remove(call)
	delete(c.streams, call.id)
	if call.unsent() > 0 {
		c.sending = slices.DeleteFunc(c.sending, func(other *Call) bool { return other == call })
	}
	if c.link.current == c {
		if c.link.waiting.head != nil {
			c.rouse() // there is a stream to be had
		}
	} else if c.open.head == nil && c.err == nil {
		c.end(errDrained)
	}
}

var errDrained = errors.New("the connection has served its last call")

// reset tells the server to give up a stream.
func (c *conn) reset(id uint32) {
	if c.err == nil {
		_ = c.frames.WriteRSTStream(id, http2.ErrCodeCancel) // a buffer takes everything
		c.rouse()
	}
}

// rouse makes write look for work, at once or when read has come to its end.
func (c *conn) rouse() {
	if c.reading {
		c.roused = true
	} else {
		c.wake.Signal()
	}
}

// end closes the connection for a reason and fails its calls.
func (c *conn) end(why error) {
	if c.err != nil {
		return
	}
	c.err = why
	l := c.link
	l.conns = slices.DeleteFunc(l.conns, func(other *conn) bool { return other == c })
	var v *violation
	if errors.As(why, &v) {
		_ = c.frames.WriteGoAway(0, v.code, []byte(v.what)) // a buffer takes everything
		_ = c.nc.SetWriteDeadline(time.Now().Add(farewell)) // without one, the pool's Close ends the wait
	} else {
		c.nc.Close()
	}
	c.wake.Signal()
	e := c.failure(why)
	for c.open.head != nil {
		l.finish(c.open.head, e)
	}
	l.pool.note(why)
	if !l.closed && !errors.Is(why, errDrained) {
		l.pool.config.Logger.Info("connection lost", zap.String("address", l.pool.config.Addr), zap.Error(why))
	}
	l.leave(c, why)
}

// failure is what the calls of a connection that ends are told.
func (c *conn) failure(why error) Error {
	if e, ok := why.(*Error); ok {
		return *e
	}
	return Error{Code: codes.Unavailable, Message: "connection to " + c.link.pool.config.Addr + " lost: " + why.Error(), cause: why}
}

// checkAlive pings a silent server, gives up one that does not answer, and says when to look again; zero when nobody waits for it.
func (c *conn) checkAlive(now time.Time) time.Time {
	config := &c.link.pool.config
	if !c.pingAt.IsZero() {
		due := c.pingAt.Add(config.PingTimeout)
		if now.Before(due) {
			return due
		}
		c.end(fmt.Errorf("nothing has come for %v after a ping", config.PingTimeout))
		return time.Time{}
	}
	if c.open.head == nil {
		return time.Time{}
	}
	if due := c.readAt.Add(config.PingInterval); now.Before(due) {
		return due
	}
	c.pingAt = now
	_ = c.frames.WritePing(false, [8]byte{}) // a buffer takes everything
	c.rouse()
	return now.Add(config.PingTimeout)
}
