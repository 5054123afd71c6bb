package seglog_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string, opts seglog.Options) *seglog.Log {
	t.Helper()
	l, err := seglog.Open(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// record is what the tests write at an offset: of many lengths, none at all included.
func record(offset uint64) []byte {
	b := make([]byte, offset*7%61)
	for i := range b {
		b[i] = byte(offset + uint64(i))
	}
	return b
}

// fill appends n records, each synced before the next.
func fill(t testing.TB, l *seglog.Log, n int) {
	t.Helper()
	for range n {
		want := l.Next()
		ticket, err := l.Append(record(want))
		require.NoError(t, err)
		require.Equal(t, want, ticket.Offset())
		require.NoError(t, ticket.Wait())
	}
}

// readAll reads from the first record on and checks each. It returns how far it came and why it could not go on.
func readAll(t testing.TB, l *seglog.Log) (next uint64, err error) {
	t.Helper()
	r := l.Reader(l.First())
	defer r.Close()
	for {
		at := r.Offset()
		got, err := r.Next()
		if errors.Is(err, seglog.ErrOutOfRange) {
			return at, nil
		}
		if err != nil {
			return at, err
		}
		require.Equal(t, string(record(at)), string(got), "record %d", at)
	}
}

// segments lists the segment files.
func segments(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(t, err)
	return files
}
