package unary

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// prefixLen is what gRPC puts before a message: one byte that says whether it is compressed, and its length in four.
const prefixLen = 5

// write sends what has gathered, in as few and large pieces as there is room for, until the connection ends.
func (c *conn) write() {
	defer c.nc.Close()
	var spare buffer
	for {
		c.link.mu.Lock()
		for !c.fill() && c.err == nil && c.link.done.head == nil { // calls may end here too, and must hear of it
			c.wake.Wait()
		}
		out, last := c.out, c.err != nil
		c.out, c.replies = spare[:0], 0
		c.link.unlock()
		var err error
		if len(out) > 0 {
			_, err = c.nc.Write(out)
		}
		if last {
			return
		}
		if err != nil {
			c.link.mu.Lock()
			c.end(fmt.Errorf("write: %w", err))
			c.link.unlock()
			return
		}
		spare = out
	}
}

// fill gathers requests: the rest of those begun, then new ones, as streams and windows allow. It tells whether there is something to write.
// The lock is held, as for all below.
func (c *conn) fill() bool {
	if c.err != nil {
		return false
	}
	c.sending = slices.DeleteFunc(c.sending, func(call *Call) bool {
		c.send(call)
		return call.unsent() == 0
	})
	l := c.link
	if l.current == c && l.waiting.head != nil && c.mayOpen() {
		now := time.Now()
		for l.current == c && l.waiting.head != nil && c.mayOpen() {
			c.begin(l.waiting.head, now)
		}
		if due := c.checkAlive(now); !due.IsZero() {
			l.arm(due)
		}
	}
	return len(c.out) > 0
}

// mayOpen tells whether a new stream can get on: a request that waits for the window is better off without one, for then it can go elsewhere.
func (c *conn) mayOpen() bool {
	return uint32(c.open.n) < c.maxStreams && c.window > 0 && len(c.out) < batchLen
}

// begin gives a waiting call a stream and sends what it can of it.
func (c *conn) begin(call *Call, now time.Time) {
	l := c.link
	left := call.Deadline.Sub(now)
	if left <= 0 {
		l.finish(call, errDeadline)
		return
	}
	if c.nextID > maxStreamID {
		l.current = nil
		l.dial()
		if c.open.head == nil {
			c.end(errDrained)
		}
		return
	}
	block, size := c.headers.encode(call.Method, call.Header, c.maxHeaders)
	if size > c.maxHeaders {
		l.finish(call, Error{Code: codes.Internal, Message: fmt.Sprintf(
			"header list of %d bytes for %s, where the server takes %d", size, call.Method, c.maxHeaders)})
		return
	}
	l.waiting.remove(call)
	call.conn, call.id = c, c.nextID
	c.nextID += 2
	c.open.push(call)
	c.streams[call.id] = call
	c.writeHeaders(call.id, block, left)
	if c.send(call); call.unsent() > 0 {
		c.sending = append(c.sending, call)
	}
}

func (c *conn) writeHeaders(id uint32, block []byte, left time.Duration) {
	c.block = appendTimeout(append(c.block[:0], block...), left)
	rest := c.block
	piece := rest[:min(len(rest), c.frameLen)]
	rest = rest[len(piece):]
	_ = c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: piece, EndHeaders: len(rest) == 0}) // out takes everything
	for len(rest) > 0 {
		piece = rest[:min(len(rest), c.frameLen)]
		rest = rest[len(piece):]
		_ = c.frames.WriteContinuation(id, len(rest) == 0, piece) // as above
	}
}

// send appends as much of a request as the windows and the batch let through.
func (c *conn) send(call *Call) {
	for len(c.out) < batchLen {
		left := call.unsent()
		n := int(min(int64(left), int64(c.frameLen), c.window, c.firstWindow+call.credit))
		if n <= 0 {
			return
		}
		flags := http2.Flags(0)
		if n == left {
			flags = http2.FlagDataEndStream
		}
		// By hand, because the Framer would want prefix and request in one piece.
		c.out = append(c.out, byte(n>>16), byte(n>>8), byte(n), byte(http2.FrameData), byte(flags))
		c.out = binary.BigEndian.AppendUint32(c.out, call.id)
		c.window -= int64(n)
		call.credit -= int64(n)
		if call.sent < prefixLen {
			prefix := [prefixLen]byte{}
			binary.BigEndian.PutUint32(prefix[1:], uint32(len(call.Request)))
			piece := prefix[call.sent:min(prefixLen, call.sent+n)]
			c.out = append(c.out, piece...)
			call.sent += len(piece)
			n -= len(piece)
		}
		at := max(call.sent-prefixLen, 0) // n is 0 as long as the prefix is not through
		c.out = append(c.out, call.Request[at:at+n]...)
		call.sent += n
	}
}
