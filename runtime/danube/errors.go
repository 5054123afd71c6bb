package danube

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An Error is a call that the broker refused or that did not reach it.
type Error struct {
	Op    string     // what was tried: "lookup", "create producer", "send", "subscribe", "receive", "ack", …
	Topic string     // the topic it was tried on, with partition suffix
	Code  codes.Code // the gRPC code of the answer
	Text  string     // the broker's words
	// Permanent is true when the same call can only fail again until somebody changes the configuration, the topic or the message.
	Permanent bool
}

// Error says what was tried on which topic and what the broker answered.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s (%s)", e.Op, e.Topic, e.Text, e.Code)
}

// IsPermanent tells whether err is an [Error] that no retry mends.
func IsPermanent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Permanent
}

// action is what the client does after a failed call.
type action int

const (
	tryAgain action = iota // same call, after a wait
	reattach               // lookup and register again, then the same call
	giveUp                 // no retry mends it
)

// classify decides what follows a failed call. Codes and texts are those of broker v0.15; it attaches no status details, so the
// text decides where a code has several meanings.
func classify(op string, err error) action {
	st := status.Convert(err)
	text := st.Message()
	switch st.Code() {
	case codes.NotFound:
		// Producer and consumer ids are void after a broker restart or a topic move; a missing topic may be created any moment.
		return reattach
	case codes.Unavailable:
		// No connection, "served by another broker, redo the Lookup", a topic just created, or a missing namespace.
		return reattach
	case codes.PermissionDenied:
		return classifyDenied(text)
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition, codes.Unauthenticated, codes.Unimplemented:
		return giveUp
	case codes.AlreadyExists:
		return giveUp // a plain topic where a partitioned one is wanted, or the reverse
	case codes.Canceled:
		// A deadline that the server noticed first says "Timeout expired"; a stream reset is a handler that panicked on this request.
		if op == opSend && strings.Contains(text, "RST_STREAM") {
			return giveUp
		}
		return tryAgain
	case codes.Internal:
		// Ack and Nack answer INTERNAL when topic or subscription are not on this broker.
		return reattach
	default:
		return tryAgain // DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, UNKNOWN
	}
}

// classifyDenied splits PERMISSION_DENIED, which the broker uses for far more than missing permission.
func classifyDenied(text string) action {
	const publish = "Unable to publish the message"
	switch {
	case strings.Contains(text, publish) && containsAny(text, "draining", "closed", "registry", "attached"):
		return reattach // the topic moves or has moved
	case strings.Contains(text, publish) && containsAny(text, "schema", "Schema"):
		return giveUp // the topic's schema policy refuses this message
	case strings.Contains(text, publish):
		return tryAgain // an error of the broker's log or write buffer
	case strings.Contains(text, "Exclusive"):
		return tryAgain // the seat is taken by another consumer name and may become free
	default:
		return giveUp // no binding grants it
	}
}

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// Names of calls in errors.
const (
	opLookup     = "lookup"
	opPartitions = "list partitions"
	opCreate     = "create producer"
	opSend       = "send"
	opSubscribe  = "subscribe"
	opReceive    = "receive"
	opAck        = "ack"
)

// wrap makes an Error of a failed call.
func wrap(op, topic string, err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	return &Error{Op: op, Topic: topic, Code: st.Code(), Text: st.Message(), Permanent: classify(op, err) == giveUp}
}
