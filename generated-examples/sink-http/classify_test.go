package main

import (
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	want := map[connect.Class][]int{
		connect.ClassNone: {200, 201, 202, 204, 207},
		connect.ClassRetry: {
			404, 408, 421, 423, 425, 429, 500, 501, 502, 503, 504, 507, 508, 511, 520, 529, 599, 100, 600, 999,
		},
		connect.ClassRejected: {400, 402, 406, 409, 411, 412, 413, 414, 415, 416, 417, 418, 422, 424, 426, 428, 431, 451, 499},
		connect.ClassFatal:    {300, 301, 302, 303, 304, 307, 308, 401, 403, 405, 407, 410},
	}
	codes, err := parseCodes(config{SuccessCodes: []string{"2xx"}})
	require.NoError(t, err)
	for class, statuses := range want {
		for _, status := range statuses {
			got := codes.classify(status, ": why")
			require.Equal(t, class, connect.ClassOf(got), "classify(%d) = %v", status, got)
			if class != connect.ClassNone {
				require.ErrorContains(t, got, ": why")
			}
		}
	}
}

func TestConfiguredCodesWin(t *testing.T) {
	t.Parallel()
	codes, err := parseCodes(config{SuccessCodes: []string{"200", "409"}, RetryCodes: []string{"400", "401"}, RejectCodes: []string{"404", "5XX"}})
	require.NoError(t, err)
	for status, want := range map[int]connect.Class{
		200: connect.ClassNone, 409: connect.ClassNone, 204: connect.ClassFatal, 400: connect.ClassRetry, 401: connect.ClassRetry,
		404: connect.ClassRejected, 500: connect.ClassRejected, 599: connect.ClassRejected, 403: connect.ClassFatal,
	} {
		require.Equal(t, want, connect.ClassOf(codes.classify(status, "")), "classify(%d)", status)
	}
}
