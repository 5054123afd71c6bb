package unary

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Call is one request on its way. The caller owns it before [Pool.Start] and again from the moment its Owner is told, and may then
// start it anew; in between nothing of it may be touched.
type Call struct {
	Method   string    // "/package.Service/Method"
	Header   *Header   // metadata, shared by any number of calls; nil for none
	Request  []byte    // the encoded message, without gRPC's five bytes before it
	Deadline time.Time // required; when it passes, the stream is reset and the call ends as DeadlineExceeded
	Owner    Owner     // told exactly once how the call ended

	// Response is the encoded answer if Code is OK. It is written into the capacity that is found here, so that a call which is used
	// again and again allocates nothing.
	Response []byte
	Code     codes.Code // how the call ended
	Message  string     // why, unless Code is OK
	// Unprocessed says of a failed call that the server has certainly not begun with it: sending it again cannot make it happen twice.
	Unprocessed bool

	cause error // an error that Err wraps, such as ErrProtocol; may be nil
	link  *link // where the call was started; nil if it could not be
	conn  *conn // nil until the call has a stream
	busy  bool  // from Start until its Owner is due to be told

	// In the list of its link's waiting calls, of its connection's open ones, or of those whose Owner is due to be told.
	prev, next *Call

	id     uint32
	sent   int   // bytes of the five-byte prefix and the request that are written
	credit int64 // what the server has granted above its initial window, less what is sent
	answer answer
}

// Err is nil after a call that went well, else an [Error].
func (c *Call) Err() error {
	if c.Code == codes.OK {
		return nil
	}
	return &Error{Code: c.Code, Message: c.Message, Unprocessed: c.Unprocessed, cause: c.cause}
}

func (c *Call) fail(e Error) {
	c.Code, c.Message, c.Unprocessed, c.cause = e.Code, e.Message, e.Unprocessed, e.cause
}

// An Owner of calls is told when one has ended, however it did. Answered must not block, nor close the pool, but may start calls, the one
// that ended too. It is an interface and not a function so that a struct which holds its call allocates nothing for it.
type Owner interface{ Answered(c *Call) }

// Func is an [Owner] that is a function.
type Func func(*Call)

// Answered calls f.
func (f Func) Answered(c *Call) { f(c) }

// End ends a call that was made in another way than by a pool: its Owner is told, and Err wraps err, whose gRPC status the call has.
func (c *Call) End(err error) {
	st := status.Convert(err)
	c.Code, c.Message, c.Unprocessed, c.cause = st.Code(), st.Message(), false, err
	c.Owner.Answered(c)
}

// An Error is why a call failed. status.FromError understands it.
type Error struct {
	Code        codes.Code
	Message     string
	Unprocessed bool // the server has certainly not begun with the call

	cause error
}

func (e *Error) Error() string {
	return fmt.Sprintf("rpc error: code = %s desc = %s", e.Code, e.Message)
}

// GRPCStatus makes the error one of gRPC's.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// Unwrap gives what lies behind the failure, such as [ErrProtocol], or nil.
func (e *Error) Unwrap() error { return e.cause }

// unsent counts the bytes of prefix and request that are still to be written.
func (c *Call) unsent() int { return prefixLen + len(c.Request) - c.sent }

// A list holds calls in order; a call is in one list at most.
type list struct {
	head, tail *Call
	n          int
}

func (l *list) push(c *Call) {
	c.prev, c.next = l.tail, nil
	if l.tail == nil {
		l.head = c
	} else {
		l.tail.next = c
	}
	l.tail = c
	l.n++
}

func (l *list) remove(c *Call) {
	if c.prev == nil {
		l.head = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.tail = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	l.n--
}
