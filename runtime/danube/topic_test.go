package danube

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTopicNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"/default/events", "/a/b", "/Ns_1/x-Y_2"} {
		require.NoError(t, CheckTopic(good), good)
	}
	for _, bad := range []string{"", "events", "/events", "/default/", "//x", "/a/b/c", "a/b/c", "/a/b.c", "/a/ü", "/a/b ", "/default/spare-part-list"} {
		require.Error(t, CheckTopic(bad), bad)
	}
}

func TestOnlyOwnPartitionsCountAndInOrder(t *testing.T) {
	t.Parallel()
	names := []string{"/d/x-part-10", "/d/x-part-2", "/d/x-dlq", "/d/x-part-02", "/d/x-part-", "/d/x-part-2-part-1", "/d/xy", "/d/x-part-0", "/d/x-part-2"}
	require.Equal(t, []int{0, 2, 10}, ownPartitions("/d/x", names))
	require.Equal(t, []int{-1}, ownPartitions("/d/x", []string{"/d/x"}))
	require.Empty(t, ownPartitions("/d/x", []string{"/d/x-dlq"}))
}

func TestPartitionNamesAreSplit(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		base string
		part int
	}{
		"/a/b": {"/a/b", -1}, "/a/b-part-0": {"/a/b", 0}, "/a/b-part-12": {"/a/b", 12}, "/a/b-part-x": {"/a/b-part-x", -1},
		"/a/b-part-02": {"/a/b-part-02", -1}, "/a/b-part-c-part-1": {"/a/b-part-c", 1},
	} {
		base, part := splitPartition(name)
		require.Equal(t, want.base, base)
		require.Equal(t, want.part, part)
	}
}

// The vectors are those of the official clients: FNV-1a 64 modulo the number of partitions.
func TestKeysGoToThePartitionsOfOfficialClients(t *testing.T) {
	t.Parallel()
	for key, mod := range map[string][3]int{
		"": {1, 2, 2}, "a": {0, 1, 5}, "keyA": {1, 1, 2}, "keyB": {0, 2, 5}, "payment": {1, 0, 5}, "shipping": {1, 2, 1},
		"user-1": {0, 2, 6}, "order-123": {0, 0, 2}, "é": {1, 1, 2},
	} {
		require.Equal(t, mod, [3]int{keyPartition(key, 2), keyPartition(key, 3), keyPartition(key, 7)}, "key %q", key)
	}
}
