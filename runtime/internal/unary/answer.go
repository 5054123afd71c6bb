package unary

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// eagerLen is how much is allocated for an answer on the word of its prefix alone; the rest when it comes.
const eagerLen = 64 << 10

// An answer is what has come of one.
type answer struct {
	begun  bool // the first header list is there
	http   int  // its status
	prefix [prefixLen]byte
	got    int // bytes of prefix and message
	size   int // of the message, once the prefix is there
}

// take adds to a call's answer. An error says why the answer cannot be right.
func (c *Call) take(data []byte, largest int) *Error {
	a := &c.answer
	if a.got < prefixLen {
		n := copy(a.prefix[a.got:], data)
		a.got += n
		data = data[n:]
		if a.got < prefixLen {
			return nil
		}
		size := binary.BigEndian.Uint32(a.prefix[1:])
		switch {
		case a.prefix[0] != 0:
			return &Error{Code: codes.Internal, Message: "the answer is compressed, which was not asked for"}
		case uint64(size) > uint64(largest):
			return &Error{Code: codes.ResourceExhausted, Message: fmt.Sprintf("received message larger than max (%d vs. %d)", size, largest)}
		}
		a.size = int(size)
		c.Response = slices.Grow(c.Response, min(a.size, eagerLen))
	}
	if a.got += len(data); a.got > prefixLen+a.size {
		return &Error{Code: codes.Internal, Message: "the answer goes on after its message"}
	}
	c.Response = append(c.Response, data...)
	return nil
}

// whole tells whether a call's answer is one message.
func (c *Call) whole() bool { return c.answer.got == prefixLen+c.answer.size }

func (c *conn) onData(h http2.FrameHeader, data []byte) error {
	if c.idle(h.StreamID) {
		return &violation{http2.ErrCodeProtocol, fmt.Sprintf("DATA on stream %d, which there is not", h.StreamID)}
	}
	if c.received += int(h.Length); c.received >= connWindow/2 {
		_ = c.frames.WriteWindowUpdate(0, uint32(c.received)) // out takes everything
		c.received = 0
		c.rouse()
	}
	call := c.streams[h.StreamID]
	if call == nil {
		return nil // it came too late
	}
	ended := h.Flags.Has(http2.FlagDataEndStream)
	if !call.answer.begun {
		c.refuse(call, codes.Internal, "an answer without headers", ended)
	} else if e := call.take(data, c.link.pool.config.MaxResponse); e != nil {
		c.refuse(call, e.Code, e.Message, ended)
	} else if ended {
		c.refuse(call, codes.Internal, "server closed the stream without sending trailers", true)
	}
	return nil
}

// refuse ends a call whose answer is wrong; ended tells whether the server has said that it is complete.
func (c *conn) refuse(call *Call, code codes.Code, why string, ended bool) {
	c.settle(call, Error{Code: code, Message: why}, ended)
}

// settle ends a call, and the stream unless both sides have.
func (c *conn) settle(call *Call, e Error, ended bool) {
	if ended && call.unsent() == 0 {
		c.link.finish(call, e)
	} else {
		c.link.cut(call, e)
	}
}

// A headerReader decodes header blocks, one at a time, and keeps what gRPC wants to know of them.
type headerReader struct {
	hpack *hpack.Decoder
	id    uint32
	ended bool // no more will come on the stream
	coded int  // bytes of the block with its frame headers

	size        uint32 // as SETTINGS_MAX_HEADER_LIST_SIZE counts
	bad         string // why the list is malformed
	regular     bool   // a field that is no pseudo-header has come
	http        int
	contentType string
	status      string
	hasStatus   bool
	message     string
}

// begin makes ready for a block.
func (r *headerReader) begin(id uint32, ended bool) {
	*r = headerReader{hpack: r.hpack, id: id, ended: ended}
}

// field takes one field of the list.
func (r *headerReader) field(f hpack.HeaderField) {
	r.size += f.Size()
	if strings.HasPrefix(f.Name, ":") {
		n, err := strconv.Atoi(f.Value)
		if f.Name != ":status" || r.regular || r.http != 0 || err != nil || n < 100 || n > 999 {
			r.bad = fmt.Sprintf("malformed header: %s: %.40q", f.Name, f.Value)
		}
		r.http = n
		return
	}
	r.regular = true
	switch f.Name {
	case "content-type":
		r.contentType = f.Value
	case "grpc-status":
		r.status, r.hasStatus = f.Value, true
	case "grpc-message":
		r.message = f.Value
	default:
		if f.Name == "" || strings.ToLower(f.Name) != f.Name {
			r.bad = fmt.Sprintf("malformed header: %.40q is no name", f.Name)
		}
	}
}

func (c *conn) onHeaders(h http2.FrameHeader, fragment []byte) error {
	if c.idle(h.StreamID) {
		return &violation{http2.ErrCodeProtocol, fmt.Sprintf("HEADERS on stream %d, which there is not", h.StreamID)}
	}
	c.headerReader.begin(h.StreamID, h.Flags.Has(http2.FlagHeadersEndStream))
	return c.onBlock(fragment, h.Flags.Has(http2.FlagHeadersEndHeaders))
}

// onBlock takes a piece of a header block. Also the blocks of streams that are gone are decoded, for the sake of the table.
func (c *conn) onBlock(fragment []byte, last bool) error {
	r := &c.headerReader
	if r.coded += len(fragment) + frameHeaderLen; r.coded > 2*maxHeaderList {
		return &violation{http2.ErrCodeEnhanceYourCalm, "a header block without end"}
	}
	_, err := r.hpack.Write(fragment)
	if err == nil && last {
		err = r.hpack.Close()
	}
	if err != nil {
		return &violation{http2.ErrCodeCompression, err.Error()}
	}
	if call := c.streams[r.id]; last && call != nil {
		c.answered, c.link.failures = true, 0
		c.onList(call, r)
	}
	return nil
}

// onList takes a whole header list of a call: the headers of its answer, or the trailers.
func (c *conn) onList(call *Call, r *headerReader) {
	a := &call.answer
	first := !a.begun
	switch {
	case r.bad != "":
		c.refuse(call, codes.Internal, r.bad, r.ended)
	case r.size > maxHeaderList:
		c.refuse(call, codes.Internal, "peer header list size exceeded limit", r.ended)
	case first && r.http == 0:
		c.refuse(call, codes.Internal, "malformed header: missing HTTP status", r.ended)
	case !first && r.http != 0:
		c.refuse(call, codes.Internal, "malformed header: an HTTP status in trailers", r.ended)
	case first && r.http < 200: // there will be another list
		if r.ended {
			c.refuse(call, codes.Internal, "an informational header ends the stream", true)
		}
	case !first && !r.ended:
		c.refuse(call, codes.Internal, "a HEADERS frame cannot appear in the middle of a stream", false)
	case first && !isGRPC(r.contentType):
		c.refuse(call, httpCode(r.http), fmt.Sprintf("%s; received unexpected content-type %.100q", httpText(r.http), r.contentType), r.ended)
	case r.ended:
		if first {
			a.http = r.http
		}
		c.settle(call, call.outcome(r), true)
	default:
		a.begun, a.http = true, r.http
	}
}

func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

func httpText(code int) string {
	return fmt.Sprintf("unexpected HTTP status code received from server: %d (%s)", code, http.StatusText(code))
}

// outcome reads the trailers.
func (c *Call) outcome(r *headerReader) Error {
	if !r.hasStatus {
		if c.answer.http != http.StatusOK {
			return Error{Code: httpCode(c.answer.http), Message: httpText(c.answer.http)}
		}
		return Error{Code: codes.Unknown, Message: "the answer ends without a grpc-status"}
	}
	code, err := strconv.ParseUint(r.status, 10, 32)
	switch {
	case err != nil:
		return Error{Code: codes.Unknown, Message: fmt.Sprintf("malformed grpc-status %.40q", r.status)}
	case code != 0:
		return Error{Code: codes.Code(code), Message: unescape(r.message)}
	case !c.whole():
		return Error{Code: codes.Internal, Message: fmt.Sprintf("the answer is cut off: %d bytes of prefix and message", c.answer.got)}
	}
	return Error{}
}
