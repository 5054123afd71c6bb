package danube

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Answers of the real broker, of grpc-go and of proxies, as they come.
var answers = []struct {
	op   string
	code codes.Code
	text string
	then action
	kind error
}{
	// Transport.
	{opSend, codes.OutOfRange, "Error, decoded message length too large: found 4194305 bytes, the limit is: 4194304 bytes", giveUp, ErrTooLarge},
	{opCreate, codes.OutOfRange, "?", giveUp, nil},
	{opReceive, codes.ResourceExhausted, "grpc: received message larger than max (9000000 vs. 8388608)", giveUp, ErrTooLarge},
	{opSend, codes.Internal, "header list size to send violates the maximum size (16384 bytes) set by server", giveUp, ErrToken},
	{opSend, codes.Canceled, "Timeout expired", tryAgain, nil},
	{opSend, codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL", giveUp, ErrSchema},
	{opSend, codes.Canceled, "grpc: the client connection is closing", giveUp, ErrClosed},
	{opReceive, codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL", tryAgain, nil},
	{opLookup, codes.Unimplemented, "unknown service danube.Discovery", giveUp, ErrNotBroker},
	{opLookup, codes.Unimplemented, "unexpected HTTP status code received from server: 404 (Not Found)", giveUp, ErrNotBroker},
	{opLookup, codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`, reattach, nil},
	{opLookup, codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp: lookup broker: no such host"`, reattach, nil},
	{opSend, codes.DeadlineExceeded, "context deadline exceeded", tryAgain, nil},
	{opSend, codes.Unknown, "?", tryAgain, nil},
	{opSend, codes.Aborted, "?", tryAgain, nil},
	{opSend, codes.DataLoss, "?", tryAgain, nil},
	{opSend, codes.Unavailable, "broker is shutting down", reattach, nil},
	{opLookup, codes.PermissionDenied, "unexpected HTTP status code received from server: 403 (Forbidden)", giveUp, ErrDenied},
	// Credentials.
	{opLookup, codes.Unauthenticated, "Authentication credentials are missing", giveUp, ErrToken},
	{opSend, codes.Unauthenticated, "Invalid token", giveUp, ErrToken},
	{opLookup, codes.FailedPrecondition, "JWT authentication is not configured on this broker", giveUp, ErrToken},
	{opSend, codes.PermissionDenied, "no binding grants Produce on Topic(/a/b) for service_account:app", giveUp, ErrDenied},
	{opReceive, codes.PermissionDenied, "no binding grants Consume on Cluster for service_account:app", giveUp, ErrDenied},
	{opSubscribe, codes.PermissionDenied, "no binding grants Consume on Topic(/a/Exclusive) for service_account:app", giveUp, ErrDenied},
	// Resolving and creating topics.
	{opLookup, codes.InvalidArgument, "The topic: a/b has an invalid format, should be: /namespace_name/topic_name", giveUp, ErrName},
	{opCreate, codes.InvalidArgument, "The topic: b has an invalid format, should be: /namespace_name/topic_name", giveUp, ErrName},
	{opCreate, codes.Unavailable, "topic /a/b is served by another broker, redo the Lookup", reattach, nil},
	{opSubscribe, codes.Unavailable, "topic /a/b is served by another broker, redo the Lookup", reattach, nil},
	{opCreate, codes.Unavailable, "topic metadata was created", reattach, nil},
	{opCreate, codes.Unavailable, "Unable to find the namespace x", giveUp, ErrNoNamespace},
	{opSubscribe, codes.NotFound, "Unable to find the topic /a/b", reattach, ErrNoTopic},
	{opCreate, codes.NotFound, "Unable to find the topic /a/b", reattach, ErrNoTopic},
	{opLookup, codes.NotFound, "Unable to find the requested topic: /a/b", reattach, ErrNoTopic},
	{opCreate, codes.AlreadyExists, "topic /a/b already exists", giveUp, ErrMismatch},
	{opCreate, codes.AlreadyExists, "partitioned topics with this base name already exist: /a/b-dlq", giveUp, ErrMismatch},
	{opCreate, codes.InvalidArgument, "Dispatch strategy is missing", giveUp, ErrMismatch},
	{opCreate, codes.FailedPrecondition, "producer dispatch strategy NonReliable does not match topic strategy Reliable", giveUp, ErrMismatch},
	{opCreate, codes.FailedPrecondition, "topic /a/b is configured with schema subject s, cannot use subject t", giveUp, ErrMismatch},
	{opCreate, codes.FailedPrecondition, "Schema subject 's' not found in registry. Ensure schema is registered first", giveUp, ErrSchema},
	{opCreate, codes.FailedPrecondition, "?", giveUp, nil},
	{opCreate, codes.Internal, "metadata store", reattach, nil},
	// Producers.
	{opCreate, codes.PermissionDenied, "Not able to create the Producer: topic is closed", reattach, nil},
	{opCreate, codes.ResourceExhausted, "too many producers", tryAgain, ErrLimit},
	{opSend, codes.NotFound, "The producer with id 7 does not exist", reattach, nil},
	{opSend, codes.InvalidArgument, "Message size 11 exceeds maximum 10", giveUp, ErrTooLarge},
	{opSend, codes.InvalidArgument, publishing + ": protobuf payloads cannot be validated", giveUp, ErrSchema},
	{opSend, codes.PermissionDenied, publishing + ": topic /a/schema-x is draining or closed", reattach, nil},
	{opSend, codes.PermissionDenied, publishing + ": topic /a/schema-x not found in registry", reattach, nil},
	{opSend, codes.PermissionDenied, publishing + ": the producer with id 7 is not attached to topic name /a/payload", reattach, nil},
	{opSend, codes.PermissionDenied, publishing + ": schema id 7 not found in registry", giveUp, ErrSchema},
	{opSend, codes.PermissionDenied, publishing + ": payload of /a/closed is not valid", giveUp, ErrSchema},
	{opSend, codes.PermissionDenied, publishing + ": write buffer error", tryAgain, nil},
	{opSend, codes.ResourceExhausted, publishing + ": the memory of this broker is full", tryAgain, ErrLimit},
	// Consumers.
	{opSubscribe, codes.PermissionDenied, "Exclusive subscription can't be shared with other consumers", tryAgain, ErrSeatTaken},
	{opSubscribe, codes.PermissionDenied, "maximum of subscriptions reached", giveUp, ErrLimit},
	{opSubscribe, codes.PermissionDenied, "unknown subscription type 9", giveUp, ErrLimit},
	{opSubscribe, codes.ResourceExhausted, "maximum of consumers reached", tryAgain, ErrLimit},
	{opReceive, codes.NotFound, "The consumer with the id 7 does not exist", reattach, nil},
	{opReceive, codes.OK, "", reattach, nil},
	{opAck, codes.Internal, "Error acknowledging message: no topic", reattach, nil},
	{opNack, codes.Internal, "Error negatively acknowledging message: no topic", reattach, nil},
	{opAck, codes.DeadlineExceeded, "context deadline exceeded", tryAgain, nil},
	{opHealth, codes.InvalidArgument, "unknown client type 5", giveUp, nil},
	// Schema registry and administration.
	{opRegisterSchema, codes.Internal, "Failed to register schema: Schema is not compatible", giveUp, ErrIncompatible},
	{opRegisterSchema, codes.Internal, "Failed to register schema: Invalid Avro schema", giveUp, ErrBadSchema},
	{opCheckSchema, codes.Internal, "Failed to check compatibility: unknown schema type", giveUp, ErrBadSchema},
	{opSetMode, codes.Internal, "Failed to set compatibility mode: subject s not found", giveUp, ErrNotFound},
	{opRegisterSchema, codes.Internal, "Failed to register schema: metadata store", reattach, nil},
	{opGetSchema, codes.NotFound, "Schema not found for subject: s", giveUp, ErrNotFound},
	{opListVersions, codes.NotFound, "Subject not found", giveUp, ErrNotFound},
	{opTopicSchema, codes.NotFound, "Topic /a/b not found on this broker", reattach, nil},
	{opSetTopicSchema, codes.InvalidArgument, "Invalid validation policy", giveUp, nil},
	{opSetTopicSchema, codes.FailedPrecondition, "Topic /a/b has no schema subject", giveUp, nil},
	{opCreateTopic, codes.NotFound, "topic /a/b already exists", giveUp, ErrExists},
	{opCreateTopic, codes.AlreadyExists, "topic /a/b already exists", giveUp, ErrExists},
	{opCreateTopic, codes.NotFound, "The topic: /a/b/c has an invalid format", giveUp, ErrName},
	{opDeleteNamespace, codes.NotFound, "namespace a is not empty", giveUp, ErrNotEmpty},
	{opDeleteTopic, codes.NotFound, "Unable to find the topic /a/b", giveUp, ErrNotFound},
	{opUnsubscribe, codes.NotFound, "subscription s of /a/b has active consumers", tryAgain, ErrActiveConsumers},
	{opSetPolicy, codes.FailedPrecondition, "subscription failure policy can only be configured for reliable topics", giveUp, ErrNotReliable},
	{opSetPolicy, codes.FailedPrecondition, "fewer than two brokers", giveUp, nil},
	{opPolicies, codes.Unimplemented, "not in standalone mode", giveUp, nil},
	{opHealth, codes.NotFound, "?", reattach, nil},
}

func TestWhatFollowsAFailedCall(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, tt := range answers {
		name := fmt.Sprintf("%s: %q (%s)", tt.op, tt.text, tt.code)
		used[outcomeOf(tt.op, tt.code, tt.text).why] = true
		require.Equal(t, tt.then, outcomeOf(tt.op, tt.code, tt.text).then, name)
		require.Equal(t, tt.kind, outcomeOf(tt.op, tt.code, tt.text).kind, name)
		if tt.code == codes.OK {
			continue // no error to wrap
		}
		err := status.Error(tt.code, tt.text)
		require.Equal(t, tt.then, classify(tt.op, err), name)
		wrapped := fmt.Errorf("outer: %w", wrap(tt.op, "/a/b", err))
		require.Equal(t, tt.then == giveUp, IsPermanent(wrapped), name)
		require.ErrorContains(t, wrapped, tt.op+" /a/b: "+tt.text)
		if tt.kind != nil {
			require.ErrorIs(t, wrapped, tt.kind, name)
		}
	}
	require.Equal(t, tryAgain, classify(opSend, errors.New("no status at all")))
	require.False(t, IsPermanent(nil))
	require.NoError(t, wrap(opSend, "/a/b", nil))
	for _, o := range outcomes {
		require.NotEmpty(t, o.why, "%v %s %q has no reason", o.ops, o.code, o.texts)
		require.True(t, used[o.why], "no answer leads to %v %s %q", o.ops, o.code, o.texts)
	}
}

func TestPatienceEndsOnlyWithPermanentErrors(t *testing.T) {
	t.Parallel()
	race := wrap(opCreate, "/a/b", status.Error(codes.AlreadyExists, "topic /a/b already exists"))
	require.False(t, hopeless(race, creationRace))
	require.True(t, hopeless(race, creationRace+1))
	require.True(t, hopeless(wrap(opSend, "/a/b", status.Error(codes.Unauthenticated, "Invalid token")), 1))
	require.False(t, hopeless(wrap(opSend, "/a/b", status.Error(codes.Unavailable, "?")), 1000))
	require.False(t, hopeless(nil, 1000))
}
