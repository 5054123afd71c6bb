package filelock_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/filelock"
)

func TestOnlyOneHolds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	require.NoError(t, os.WriteFile(path, []byte("a former holder with a long name\n"), 0o600))
	first, err := filelock.Acquire(path)
	require.NoError(t, err)
	_, err = filelock.Acquire(path)
	var held *filelock.HeldError
	require.ErrorAs(t, err, &held)
	require.Equal(t, strconv.Itoa(os.Getpid()), held.Holder)
	require.ErrorContains(t, err, path)
	require.NoError(t, first.Release())
	second, err := filelock.Acquire(path)
	require.NoError(t, err)
	require.NoError(t, second.Release())
}

func TestAMissingFolderIsNotAHeldLock(t *testing.T) {
	t.Parallel()
	_, err := filelock.Acquire(filepath.Join(t.TempDir(), "missing", "lock"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
