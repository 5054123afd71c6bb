package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/connecttest"
)

// TestContract runs the whole delivery contract against the source.
func TestContract(t *testing.T) {
	t.Parallel()
	connecttest.Source(t, func(t *testing.T) connecttest.SourceOrigin {
		path := filepath.Join(t.TempDir(), "app.log")
		c := config{Paths: []string{path}, Start: "beginning", Follow: true, PollInterval: 10 * time.Millisecond, RotateWait: time.Minute,
			MaxLineBytes: 1 << 20, BatchLines: 10, BatchBytes: 1 << 20, Key: "none"}
		require.NoError(t, c.Validate())
		return connecttest.SourceOrigin{
			Open: func(ctx context.Context, from connect.Position) (connect.Source, error) { return open(ctx, c, from) },
			Produce: func(t testing.TB, values ...[]byte) {
				f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
				require.NoError(t, err)
				_, err = f.Write(append(bytes.Join(values, []byte("\n")), '\n'))
				require.NoError(t, err)
				require.NoError(t, f.Close())
			},
		}
	})
}

// TestFiles checks that sample, schema and README say what config.go says.
func TestFiles(t *testing.T) {
	connecttest.SourceFiles[config](t, "file")
}
