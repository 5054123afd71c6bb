package danubetest

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errReset is what a client sees of a call on which the real broker crashes.
var errReset = status.Error(codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL")

// errExpired is what the real broker answers now and then before a client has noticed its own deadline.
var errExpired = status.Error(codes.Canceled, "Timeout expired")

// errNoMsgID is the answer to a request that lacks its message id.
var errNoMsgID = status.Error(codes.InvalidArgument, "msg_id is required")

// early is how long before a deadline the broker gives up where it is the first to do so.
const early = time.Millisecond

// timed makes a call with the real broker's ways to end one, under the trap resets.
func (b *Broker) timed(ctx context.Context, req any, handler grpc.UnaryHandler) (any, error) {
	if !b.settings.traps.has(trapResets) {
		return handler(ctx, req)
	}
	deadline, ok := ctx.Deadline()
	first := ok && b.dice.oneIn(4)
	if first {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-early))
		defer cancel()
	}
	resp, err := handler(ctx, req)
	switch {
	case errors.Is(err, errNoMsgID):
		return nil, errReset
	case err != nil && first && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, errExpired
	}
	return resp, err
}
