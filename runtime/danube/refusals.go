package danube

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
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
	// ErrNotReliable is a setting that only subscriptions of reliable topics have. It is an [ErrMismatch].
	ErrNotReliable = fmt.Errorf("the topic is not reliable: %w", ErrMismatch)
	// ErrIncompatible is a schema that must not follow the latest version of its subject. It is an [ErrSchema].
	ErrIncompatible = fmt.Errorf("the schema is not compatible: %w", ErrSchema)
	// ErrBadSchema is a schema whose definition or type the registry does not understand. It is an [ErrSchema].
	ErrBadSchema = fmt.Errorf("the schema is not valid: %w", ErrSchema)
)

// A task is what is tried on what, as errors tell it.
type task struct{ op, what string }

// refuse makes the error of a task that this client refuses or explains itself.
func (t task) refuse(code codes.Code, reason error, format string, args ...any) error {
	return &Error{Op: t.op, Topic: t.what, Code: code, Text: fmt.Sprintf(format, args...), Kind: reason, Permanent: reason != ErrActiveConsumers}
}

// ask makes one call, within callTimeout.
func ask[Q, A any](ctx context.Context, t task, call func(context.Context, Q, ...grpc.CallOption) (A, error), question Q) (A, error) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := call(limited, question)
	switch {
	case err == nil:
		return answer, nil
	case over(ctx) != nil:
		return answer, fmt.Errorf("%s %s: %w", t.op, t.what, over(ctx))
	}
	return answer, wrap(t.op, t.what, err)
}

// over is ctx's error; a deadline counts from the moment at which it passes, though its timer may be late and the broker have noticed first.
func over(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}
