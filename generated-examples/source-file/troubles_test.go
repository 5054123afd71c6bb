package main

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// What no waiting mends stops the connector at its start, and says what to change.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	require.NoError(t, os.Mkdir(f.path("dir"), 0o755))
	tests := map[string]struct {
		path   string
		follow bool
		want   string
	}{
		"a directory":                    {"dir", true, "paths: " + f.path("dir") + " is a directory; for the files in it write " + f.path("dir/*")},
		"no such file, read once":        {"app.log", false, "paths: " + f.path("app.log") + " does not exist; waiting for it: create it or correct the path"},
		"no such directory, read once":   {"logs/*.log", false, "paths: " + f.path("logs/*.log") + " matches no file: there is no directory " + f.path("logs") + "; waiting for it: create it or correct the pattern"},
		"something that holds no lines ": {"/dev/null", true, "paths: /dev/null is not a regular file; name a file that holds lines"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := f.config(tt.path)
			if tt.path == "/dev/null" {
				c.Paths = []string{tt.path}
			}
			c.Follow = tt.follow
			_, err := open(t.Context(), c, nil)
			require.EqualError(t, err, tt.want)
			require.Equal(t, connect.ClassFatal, connect.ClassOf(err))
		})
	}
}

// A file that does not exist yet is told once, shown by Ping, and read when it comes.
func TestMissing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path, want string
		ready      bool
	}{
		"file":      {"sub/app.log", "paths: %s does not exist; waiting for it: create it or correct the path", false},
		"directory": {"sub/*.log", "paths: %s matches no file: there is no directory %s; waiting for it: create it or correct the pattern", false},
		"match":     {"*/*.log", "paths: %s matches no file; waiting for one: correct the pattern if there should be some", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			r := f.openPolling(f.config(tt.path), nil)
			_, err := r.source.Read(t.Context())
			want := fmt.Sprintf(tt.want, f.path(tt.path), f.path("sub"))
			if name != "directory" {
				want = fmt.Sprintf(tt.want, f.path(tt.path))
			}
			require.EqualError(t, err, want)
			require.Equal(t, connect.ClassRetry, connect.ClassOf(err))
			if ping := r.source.(connect.Pinger).Ping(t.Context()); tt.ready {
				require.NoError(t, ping)
			} else {
				require.EqualError(t, ping, want)
			}
			require.NoError(t, os.Mkdir(f.path("sub"), 0o755))
			f.append("sub/app.log", "a\n")
			r.read(1)
			require.Empty(t, r.warnings, "told once")
			require.NoError(t, r.source.(connect.Pinger).Ping(t.Context()))
			r.close()
		})
	}
}

// One file that cannot be read does not keep the others from being read.
func TestMissingBesideOthers(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("there.log", "a\n")
	r := f.openPolling(f.config("there.log", "missing.log"), nil)
	r.read(1)
	require.Len(t, r.warnings, 1)
	require.ErrorContains(t, r.source.(connect.Pinger).Ping(t.Context()), "missing.log")
	f.append("there.log", "b\n")
	f.append("missing.log", "c\n")
	r.read(3)
	require.ElementsMatch(t, []string{"a", "b", "c"}, r.values())
	r.close()
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	now := time.Now()
	missing := problem{text: "missing", severe: true, waiting: true}
	broken := problem{text: "broken", severe: true}
	empty := problem{text: "empty", waiting: true}
	tr := newTroubles(time.Second)
	require.NoError(t, tr.news())

	tr.set([]problem{empty}, now)
	require.EqualError(t, tr.news(), "empty", "the first look tells everything")
	require.NoError(t, tr.now(), "an empty directory is not severe")

	tr.set([]problem{empty, missing, broken}, now)
	require.EqualError(t, tr.news(), "broken", "a file may be missing for a moment")
	require.EqualError(t, tr.now(), "missing\nbroken")

	tr.set([]problem{missing, broken}, now.Add(time.Second))
	require.EqualError(t, tr.news(), "missing", "but not for long")

	tr.set([]problem{missing, broken}, now.Add(2*time.Second))
	require.NoError(t, tr.news(), "each is told once")

	tr.set(nil, now.Add(3*time.Second))
	require.NoError(t, tr.now())
	tr.set([]problem{broken}, now.Add(4*time.Second))
	require.EqualError(t, tr.news(), "broken", "and again when it comes back")

	for i := range 7 {
		tr.tell(fmt.Errorf("loss %d", i))
	}
	require.EqualError(t, tr.news(), errors.Join(errors.New("loss 0\nloss 1\nloss 2\nloss 3\nloss 4\nand 2 more")).Error())
}
