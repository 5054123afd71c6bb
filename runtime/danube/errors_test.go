package danube

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	const publish = "Unable to publish the message: "
	for _, tt := range []struct {
		op   string
		code codes.Code
		text string
		want action
	}{
		{opSend, codes.NotFound, "The producer with id 7 does not exist", reattach},
		{opReceive, codes.NotFound, "The consumer with the id 7 does not exist", reattach},
		{opSubscribe, codes.NotFound, "Unable to find the topic", reattach},
		{opCreate, codes.Unavailable, "topic metadata was created", reattach},
		{opCreate, codes.Unavailable, "Unable to find the namespace x", reattach},
		{opSend, codes.PermissionDenied, publish + "topic is draining or closed", reattach},
		{opSend, codes.PermissionDenied, publish + "not found in registry", reattach},
		{opSend, codes.PermissionDenied, publish + "not attached to topic name", reattach},
		{opSend, codes.PermissionDenied, publish + "schema id 7 is unknown", giveUp},
		{opSend, codes.PermissionDenied, publish + "write buffer error", tryAgain},
		{opSend, codes.PermissionDenied, "no binding grants Produce on /a/b", giveUp},
		{opSubscribe, codes.PermissionDenied, "Exclusive subscription can't be shared with other consumers", tryAgain},
		{opSubscribe, codes.InvalidArgument, "has an invalid format", giveUp},
		{opCreate, codes.FailedPrecondition, "does not match topic strategy", giveUp},
		{opCreate, codes.AlreadyExists, "already exists", giveUp},
		{opSend, codes.OutOfRange, "decoded message length too large", giveUp},
		{opSend, codes.Unauthenticated, "Invalid token", giveUp},
		{opSend, codes.Canceled, "Timeout expired", tryAgain},
		{opSend, codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL", giveUp},
		{opReceive, codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL", tryAgain},
		{opAck, codes.Internal, "Error acknowledging message: no topic", reattach},
		{opSend, codes.DeadlineExceeded, "context deadline exceeded", tryAgain},
		{opSend, codes.ResourceExhausted, "memory", tryAgain},
		{opSend, codes.Unknown, "?", tryAgain},
	} {
		err := status.Error(tt.code, tt.text)
		require.Equal(t, tt.want, classify(tt.op, err), "%s %s %q", tt.op, tt.code, tt.text)
		wrapped := fmt.Errorf("outer: %w", wrap(tt.op, "/a/b", err))
		require.Equal(t, tt.want == giveUp, IsPermanent(wrapped))
		require.ErrorContains(t, wrapped, tt.op+" /a/b: "+tt.text)
	}
	require.False(t, IsPermanent(nil))
	require.NoError(t, wrap(opSend, "/a/b", nil))
}
