package danube

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestRefusalsAreToldApartByTheirWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		op        string
		code      codes.Code
		text      string
		reason    error
		permanent bool
	}{
		{opCreateTopic, codes.NotFound, "topic /a/b already exists", ErrExists, true},
		{opCreateTopic, codes.NotFound, "partitioned topics with this base name already exist", ErrExists, true},
		{opCreateTopic, codes.NotFound, "a/b has an invalid format", ErrName, true},
		{opCreateTopic, codes.NotFound, "Unable to find the namespace a", ErrNotFound, true},
		{opCreateTopic, codes.InvalidArgument, "Dispatch strategy is missing", nil, true},
		{opDeleteNamespace, codes.NotFound, "the namespace is not empty", ErrNotEmpty, true},
		{opUnsubscribe, codes.NotFound, "the subscription has Active Consumers", ErrActiveConsumers, false},
		{opDeleteTopic, codes.NotFound, "whatever", ErrNotFound, true},
		{opSetPolicy, codes.FailedPrecondition, "subscription failure policy can only be configured for reliable topics", ErrNotReliable, true},
		{opSetTopicSchema, codes.NotFound, "Topic /a/b not found on this broker", nil, false},
		{opSetTopicSchema, codes.NotFound, "Subject not found: s", ErrNotFound, true},
		{opRegisterSchema, codes.Internal, "Failed to register schema: not backward compatible", ErrIncompatible, true},
		{opRegisterSchema, codes.Internal, "Failed to register schema: invalid definition", ErrBadSchema, true},
		{opRegisterSchema, codes.Internal, "Failed to register schema: the store is away", nil, false},
		{opCheckSchema, codes.Internal, "Failed to check compatibility: subject s not found", ErrNotFound, true},
		{opCheckSchema, codes.Internal, "Failed to check compatibility", nil, false},
		{opListTopics, codes.PermissionDenied, "no binding grants it; role not found", nil, true},
		{opListTopics, codes.Unauthenticated, "Invalid token", nil, true},
		{opListTopics, codes.Unavailable, "broker not found", nil, false},
		{opListTopics, codes.Canceled, "Timeout expired", nil, false},
		{opListTopics, codes.Unimplemented, "unknown service", nil, true},
	} {
		err := fmt.Errorf("outer: %w", wrap(tt.op, "x", status.Error(tt.code, tt.text)))
		require.ErrorContains(t, err, tt.op+" x: "+tt.text)
		require.Equal(t, tt.permanent, IsPermanent(err), "%v", err)
		for _, reason := range []error{
			ErrNotFound, ErrExists, ErrNameBlocked, ErrNotEmpty, ErrActiveConsumers, ErrName, ErrNotReliable, ErrIncompatible, ErrBadSchema,
		} {
			if reason == tt.reason {
				require.ErrorIs(t, err, reason)
			} else {
				require.NotErrorIs(t, err, reason)
			}
		}
	}
}
