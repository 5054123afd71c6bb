package main

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// asNobody takes away from the calling goroutine what root may do with files, until the test ends. It must be called after the last
// call of TempDir.
func asNobody(t *testing.T, f *folder) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	require.NoError(t, os.Chmod(filepath.Dir(f.dir), 0o755))
	const nobody = 65534
	runtime.LockOSThread()
	require.NoError(t, syscall.Setfsuid(nobody))
	t.Cleanup(func() {
		require.NoError(t, syscall.Setfsuid(0))
		runtime.UnlockOSThread()
	})
}

// A file that may not be read is told, shown by Ping, tried again, and read from its beginning once it may be.
func TestPermissionDenied(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\n")
	f.append("other.log", "x\n")
	require.NoError(t, os.Chmod(f.path("app.log"), 0))
	mayRead := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(mayRead)
		<-told
		if err := os.Chmod(f.path("app.log"), 0o644); err != nil {
			t.Error(err)
		}
	}()
	asNobody(t, f)
	c := f.config("*.log")
	r := f.openPolling(c, nil)
	_, err := r.source.Read(t.Context())
	want := "open " + f.path("app.log") + ": permission denied; let the connector's user read it, it is tried again until then"
	require.EqualError(t, err, want)
	require.Equal(t, connect.ClassRetry, connect.ClassOf(err))
	r.read(1)
	require.Equal(t, []string{"x"}, r.values(), "the others are read")
	require.EqualError(t, r.source.(connect.Pinger).Ping(t.Context()), want)
	close(told)
	<-mayRead
	r.read(2)
	require.Equal(t, []string{"x", "a"}, r.values())
	require.NoError(t, r.source.(connect.Pinger).Ping(t.Context()))
	require.Empty(t, r.warnings, "told once")
	r.close()
}

// A directory that may not be listed is told by name: its files look as if they did not exist.
func TestDirectoryDenied(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	require.NoError(t, os.Mkdir(f.path("sub"), 0o755))
	f.append("sub/app.log", "a\n")
	require.NoError(t, os.Chmod(f.path("sub"), 0))
	t.Cleanup(func() { _ = os.Chmod(f.path("sub"), 0o755) })
	asNobody(t, f)
	for _, path := range []string{"sub/*.log", "sub/app.log"} {
		r := f.openPolling(f.config(path), nil)
		_, err := r.source.Read(t.Context())
		require.ErrorContains(t, err, "permission denied; let the connector's user read it")
		require.ErrorContains(t, err, f.path("sub"))
		r.close()
	}
}
