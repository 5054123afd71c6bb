package danube

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What callers test for with [errors.Is]. Each comment says whether the client goes on trying ("waits") or gives up, which
// [IsPermanent] tells of a particular error.
var (
	// ErrName is a name, of a topic or something else, that the broker does not take or that nobody could use. Gives up.
	ErrName = errors.New("invalid name")
	// ErrNoTopic is a topic that does not exist, to a producer or consumer, which wait: its first producer makes it. It is an [ErrNotFound].
	ErrNoTopic = fmt.Errorf("topic %w", ErrNotFound)
	// ErrNoNamespace is a topic in a namespace that does not exist. Gives up after some tries. It is an [ErrNotFound].
	ErrNoNamespace = fmt.Errorf("namespace %w", ErrNotFound)
	// ErrMismatch is a topic that exists and is not as asked for: its dispatch strategy, partitions or schema differ. Gives up.
	ErrMismatch = errors.New("topic differs from what was asked for")
	// ErrSeatTaken is an Exclusive subscription that another consumer name holds. Waits.
	ErrSeatTaken = errors.New("subscription is taken")
	// ErrDenied is a call for which no binding grants the permission. Gives up.
	ErrDenied = errors.New("permission denied")
	// ErrToken is a token that is missing, expired, refused or cannot be got. Gives up on a refusal, waits for a token.
	ErrToken = errors.New("token not accepted")
	// ErrSchema is a schema that is missing, refused, or that a message does not fit. Gives up.
	ErrSchema = errors.New("schema refused")
	// ErrTooLarge is a message beyond what the broker takes. Gives up.
	ErrTooLarge = errors.New("too large")
	// ErrLimit is a limit or budget of the broker that is used up. Waits, but gives up on a limit of subscriptions.
	ErrLimit = errors.New("limit reached")
	// ErrNotBroker is an address where no Danube broker answers in the way that the URL says: TLS and plain text mixed up, a
	// certificate that is not trusted, or another service. Gives up if none ever did.
	ErrNotBroker = errors.New("not a Danube broker")
	// ErrClosed is what is asked of a closed client, producer or consumer, and what waited in it. Gives up.
	ErrClosed = errors.New("closed")
)

// An Error is a call that the broker refused or that did not reach it.
type Error struct {
	Op    string     // what was tried: "lookup", "create producer", "send", "subscribe", "receive", "ack", …
	Topic string     // the topic it was tried on, with partition suffix
	Code  codes.Code // the gRPC code of the answer
	Text  string     // the broker's words
	Mend  string     // what would help, empty where only waiting does
	Kind  error      // one of the Err values of this package, nil for what callers need not tell apart
	Cause error      // what lies below, such as a certificate error; nil where the broker's answer is all there is
	// Permanent is true when the same call can only fail again until somebody changes the configuration, the topic or the message.
	Permanent bool

	patience int // tries that are worth making although the error is permanent
}

// Error says what was tried on which topic, what the broker answered and what would mend it.
func (e *Error) Error() string {
	text := e.Op + ": "
	if e.Topic != "" {
		text = e.Op + " " + e.Topic + ": "
	}
	text += fmt.Sprintf("%s (%s)", e.Text, e.Code)
	if e.Mend != "" {
		text += "; " + e.Mend
	}
	return text
}

// Unwrap gives Kind and Cause.
func (e *Error) Unwrap() []error {
	var below []error
	for _, err := range []error{e.Kind, e.Cause} {
		if err != nil {
			below = append(below, err)
		}
	}
	return below
}

// IsPermanent tells whether err is an [Error] that no retry mends.
func IsPermanent(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Permanent
}

// hopeless tells whether try number try was the last one worth making.
func hopeless(err error, try int) bool {
	var e *Error
	return errors.As(err, &e) && e.Permanent && try > e.patience
}

// A localError is a failure that the client itself found, before, below or instead of an answer of the broker.
type localError struct {
	kind      error
	code      codes.Code
	text      string
	mend      string
	cause     error
	permanent bool
}

func (e *localError) Error() string { return e.text }

// GRPCStatus makes it pass for an answer, so that whoever looks at codes only sees one.
func (e *localError) GRPCStatus() *status.Status { return status.New(e.code, e.text) }

// classify decides what follows a failed call.
func classify(op string, err error) action {
	var local *localError
	if errors.As(err, &local) {
		if local.permanent {
			return giveUp
		}
		return reattach
	}
	st := status.Convert(err)
	return outcomeOf(op, st.Code(), st.Message()).then
}

// wrap makes an [Error] of a failed call; nil stays nil, and what is an Error stays as it is.
func wrap(op, topic string, err error) error {
	if err == nil {
		return nil
	}
	var typed *Error
	if errors.As(err, &typed) {
		return err
	}
	var local *localError
	if errors.As(err, &local) {
		return &Error{
			Op: op, Topic: topic, Code: local.code, Text: local.text, Mend: local.mend,
			Kind: local.kind, Cause: local.cause, Permanent: local.permanent,
		}
	}
	st := status.Convert(err)
	o := outcomeOf(op, st.Code(), st.Message())
	return &Error{
		Op: op, Topic: topic, Code: st.Code(), Text: st.Message(), Mend: o.mend,
		Kind: o.kind, Permanent: o.then == giveUp, patience: o.patience,
	}
}

// errTooLarge refuses a message of n bytes before the broker's transport does.
func errTooLarge(topic string, n int) error {
	const limit = maxMessageBytes - headRoom
	return &Error{
		Op: opSend, Topic: topic, Code: codes.OutOfRange, Permanent: true, Kind: ErrTooLarge, Mend: "send less, or split it",
		Text: fmt.Sprintf("payload, key and attributes of %d bytes exceed the %d that the broker's transport takes", n, limit),
	}
}

// errNoTopicYet is what a consumer waits for.
func errNoTopicYet(topic string) error {
	return &Error{
		Op: opPartitions, Topic: topic, Code: codes.NotFound, Kind: ErrNoTopic, Text: "the topic does not exist yet",
		Mend: "start its producer, or create it",
	}
}
