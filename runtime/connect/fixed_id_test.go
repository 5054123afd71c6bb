package connect_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// Keys lie in targets for ever: these must never change.
func TestFixedIDsStayTheSame(t *testing.T) {
	t.Parallel()
	for id, want := range map[string][2]string{
		"":       {"e3b0c44298fc1c149afbf4c8996fb924", "e3b0c442-98fc-8c14-9afb-f4c8996fb924"},
		"abc":    {"ba7816bf8f01cfea414140de5dae2223", "ba7816bf-8f01-8fea-8141-40de5dae2223"},
		"4711#3": {"29e3e6a8ad2a9ec5ddce29a283c48ade", "29e3e6a8-ad2a-8ec5-9dce-29a283c48ade"},
	} {
		key := connect.NewFixedID(id)
		require.Equal(t, want[0], key.String())
		require.Equal(t, want[1], key.UUID())
		require.Equal(t, want[0], key.String(), "UUID changes nothing")
	}
}

func TestFixedIDsOfAnyText(t *testing.T) {
	t.Parallel()
	keys := map[connect.FixedID]bool{}
	uuid := regexp.MustCompile("^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
	ids := []string{"", "\x00", "\xff", "a", "A", "a ", "a#1", "a#11", string(make([]byte, 1<<16))}
	for _, id := range ids {
		key := connect.NewFixedID(id)
		keys[key] = true
		require.Len(t, key.String(), 32)
		require.Regexp(t, uuid, key.UUID())
	}
	require.Len(t, keys, len(ids), "different ids, different keys")
}
