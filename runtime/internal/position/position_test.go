package position_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/position"
)

func open(t *testing.T, dir string) *position.Store {
	t.Helper()
	s, err := position.Open(dir, "c")
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestWhatWasSavedIsLoaded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "here")
	s := open(t, dir)
	got, err := s.Load()
	require.NoError(t, err)
	require.Nil(t, got)
	for _, p := range []string{"first", "\x00\xff binary", ""} {
		require.NoError(t, s.Save([]byte(p)))
		require.NoError(t, s.Close())
		s = open(t, dir)
		got, err := s.Load()
		require.NoError(t, err)
		require.Equal(t, p, string(got))
	}
}

func TestASecondProcessIsTurnedAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	_, err := position.Open(dir, "c")
	require.ErrorContains(t, err, "is in use by process")
	require.ErrorContains(t, err, "state_dir")
	other, err := position.Open(dir, "d")
	require.NoError(t, err, "another connector has its own file")
	require.NoError(t, other.Close())
	require.NoError(t, s.Close())
	open(t, dir)
}

func TestADamagedFileIsNeverTakenForNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, s.Save([]byte("at offset 1234567890")))
	whole, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	for n := range len(whole) - 1 { // every torn length; the last byte is the newline
		require.NoError(t, os.WriteFile(s.Path(), whole[:n], 0o600))
		_, err := s.Load()
		require.ErrorContains(t, err, "move it away to begin anew", "cut at %d", n)
	}
	for old, bad := range map[string]string{`"version": 1`: `"version": 2`, `"connector": "c"`: `"connector": "d"`, `"position": "Y`: `"position": "Z`} {
		require.Contains(t, string(whole), old)
		require.NoError(t, os.WriteFile(s.Path(), []byte(strings.Replace(string(whole), old, bad, 1)), 0o600))
		_, err := s.Load()
		require.ErrorContains(t, err, "cannot be used", bad)
	}
}

func TestAFailedSaveKeepsTheFormerPosition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, s.Save([]byte("first")))
	require.NoError(t, os.Mkdir(s.Path()+".new", 0o755)) // the temporary file cannot be written
	require.Error(t, s.Save([]byte("second")))
	got, err := s.Load()
	require.NoError(t, err)
	require.Equal(t, "first", string(got))
}
