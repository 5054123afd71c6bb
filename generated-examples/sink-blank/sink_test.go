package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/connecttest"
)

// TestContract runs the whole delivery contract against the sink.
func TestContract(t *testing.T) {
	t.Parallel()
	connecttest.Sink(t, func(t *testing.T) connecttest.SinkTarget {
		path := filepath.Join(t.TempDir(), "events.jsonl")
		return connecttest.SinkTarget{
			Open: func(ctx context.Context) (connect.Sink, error) { return open(ctx, config{Path: path}) },
			Stored: func(t testing.TB) [][]byte {
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				if len(text) == 0 {
					return nil
				}
				return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
			},
			Poison: []byte(`{"half": `),
		}
	})
}

// TestFiles checks that sample, schema and README say what config.go says.
func TestFiles(t *testing.T) {
	connecttest.SinkFiles[config](t, "sink")
}

func TestATornLineIsCutOff(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 200_000) // longer than the block that is searched at once
	for name, tt := range map[string]struct{ have, want string }{
		"whole":     {"1\n2\n", "1\n2\n3\n"},
		"torn":      {"1\n2\n{\"ha", "1\n2\n3\n"},
		"only torn": {"{\"ha", "3\n"},
		"empty":     {"", "3\n"},
		"long torn": {"1\n\"" + string(long), "1\n3\n"},
		"long":      {"1\n\"" + string(long) + "\"\n", "1\n\"" + string(long) + "\"\n3\n"},
	} {
		path := filepath.Join(t.TempDir(), "events.jsonl")
		require.NoError(t, os.WriteFile(path, []byte(tt.have), 0o600), name)
		s, err := open(t.Context(), config{Path: path})
		require.NoError(t, err, name)
		require.NoError(t, s.Write(t.Context(), []connect.Record{{Value: []byte("3")}}), name)
		require.NoError(t, s.Close(), name)
		got, err := os.ReadFile(path)
		require.NoError(t, err, name)
		require.Equal(t, tt.want, string(got), name)
	}
}

func TestAFailedWriteLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s, err := open(t.Context(), config{Path: filepath.Join(t.TempDir(), "events.jsonl")})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	err = s.Write(t.Context(), []connect.Record{{Value: []byte("1")}})
	require.Equal(t, connect.ClassRetry, connect.ClassOf(err))
	require.ErrorContains(t, config{}.Validate(), "path: is empty")
}
