package danube

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Why a call of [Admin] or [Schemas] was refused, for errors.Is. The broker answers most refusals with one and the same code, so they are
// told apart by its words or by asking it for more. All come inside an [Error], whose Topic is the topic, namespace, subject or
// subscription that was asked about.
var (
	// ErrNotFound is a topic, namespace, subscription, subject or version that does not exist.
	ErrNotFound = errors.New("does not exist")
	// ErrExists is a topic or namespace that was to be created and exists.
	ErrExists = errors.New("exists already")
	// ErrNameBlocked is a topic that cannot be created because its name is the beginning of another one's: create the shorter name first.
	ErrNameBlocked = errors.New("the name is the beginning of another topic's name")
	// ErrNotEmpty is a namespace that was to be deleted and has topics.
	ErrNotEmpty = errors.New("not empty")
	// ErrActiveConsumers is a subscription that was to be removed and has consumers: one that is connected, or that subscribed and never
	// received. It is not permanent.
	ErrActiveConsumers = errors.New("has active consumers")
	// ErrBadName is a name that no broker takes, or that it takes for something else.
	ErrBadName = errors.New("the name is not allowed")
	// ErrNotReliable is a setting that only subscriptions of reliable topics have.
	ErrNotReliable = errors.New("the topic is not reliable")
	// ErrIncompatible is a schema that must not follow the latest version of its subject.
	ErrIncompatible = errors.New("the schema is not compatible")
	// ErrBadSchema is a schema whose definition or type the registry does not understand.
	ErrBadSchema = errors.New("the schema is not valid")
)

// A refusal is an Error with the reason that was read from its text.
type refusal struct {
	err    *Error
	reason error
}

// Error is the text of the Error alone.
func (r *refusal) Error() string { return r.err.Error() }

// Unwrap gives both, for errors.As and errors.Is.
func (r *refusal) Unwrap() []error { return []error{r.err, r.reason} }

// A task is what is tried on what, as errors tell it.
type task struct{ op, what string }

// refuse makes the error of a task that this client refuses or explains itself.
func (t task) refuse(code codes.Code, reason error, format string, args ...any) error {
	e := &Error{Op: t.op, Topic: t.what, Code: code, Text: fmt.Sprintf(format, args...), Permanent: reason != ErrActiveConsumers}
	return e.because(reason)
}

// failed makes the error of a failed call.
func (t task) failed(err error) error {
	st := status.Convert(err)
	e := &Error{Op: t.op, Topic: t.what, Code: st.Code(), Text: st.Message()}
	reason := reasonOf(t.op, st.Code(), st.Message())
	switch st.Code() {
	case codes.InvalidArgument, codes.OutOfRange, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented, codes.AlreadyExists:
		e.Permanent = true
	default:
		e.Permanent = reason != nil && reason != ErrActiveConsumers
	}
	return e.because(reason)
}

// because adds a reason, nil for none.
func (e *Error) because(reason error) error {
	if reason == nil {
		return e
	}
	return &refusal{err: e, reason: reason}
}

// reasonOf reads the reason from the broker's words, nil if they tell none.
func reasonOf(op string, code codes.Code, text string) error {
	lower := strings.ToLower(text)
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.PermissionDenied, codes.Unauthenticated:
		return nil // nothing about the thing itself
	case codes.FailedPrecondition:
		if strings.Contains(lower, "only be configured for reliable topics") {
			return ErrNotReliable
		}
	}
	switch {
	case strings.Contains(lower, "not found on this broker"):
		return nil // another broker may have the topic, or this one a moment later
	case strings.Contains(lower, "active consumer"):
		return ErrActiveConsumers
	case containsAny(lower, "already exist"):
		return ErrExists
	case strings.Contains(lower, "not empty"):
		return ErrNotEmpty
	case strings.Contains(lower, "invalid format"):
		return ErrBadName
	case containsAny(lower, "not found", "unable to find", "does not exist") || code == codes.NotFound:
		return ErrNotFound
	case op == opRegisterSchema && strings.Contains(lower, "compatib"):
		return ErrIncompatible
	case (op == opRegisterSchema || op == opCheckSchema) && containsAny(lower, "invalid", "unknown", "parse"):
		return ErrBadSchema
	}
	return nil
}

// ask makes one call, within callTimeout.
func ask[Q, A any](ctx context.Context, t task, call func(context.Context, Q, ...grpc.CallOption) (A, error), question Q) (A, error) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := call(limited, question)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return answer, fmt.Errorf("%s %s: %w", t.op, t.what, ctx.Err())
	}
	return answer, t.failed(err)
}
