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
		path := filepath.Join(t.TempDir(), "events.jsonl")
		appendTo(t, path, "")
		return connecttest.SourceOrigin{
			Open: func(ctx context.Context, from connect.Position) (connect.Source, error) {
				return open(ctx, config{Path: path, PollInterval: time.Millisecond}, from)
			},
			Produce: func(t testing.TB, values ...[]byte) {
				appendTo(t, path, string(bytes.Join(values, []byte("\n")))+"\n")
			},
		}
	})
}

// TestFiles checks that sample, schema and README say what config.go says.
func TestFiles(t *testing.T) {
	connecttest.SourceFiles[config](t, "source")
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestALineIsReadWhenItIsWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	appendTo(t, path, "1\n\n22")
	s, err := open(t.Context(), config{Path: path, PollInterval: time.Millisecond}, nil)
	require.NoError(t, err)
	defer s.Close()
	batch, err := s.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"1", ""}, values(batch))
	require.Equal(t, "3", string(batch.Position))

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = s.Read(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	appendTo(t, path, "2\n")
	batch, err = s.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"222"}, values(batch))
	require.Equal(t, path+":3", batch.Records[0].Attributes[connect.EventIDAttribute])
}

func values(b connect.Batch) []string {
	var all []string
	for _, r := range b.Records {
		all = append(all, string(r.Value))
	}
	return all
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	_, err := open(t.Context(), config{Path: path}, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, connect.ClassRetry, connect.ClassOf(err), "the file may come")
	_, err = open(t.Context(), config{Path: path}, connect.Position("x"))
	require.Equal(t, connect.ClassFatal, connect.ClassOf(err))

	appendTo(t, path, string(make([]byte, maxRead+1)))
	s, err := open(t.Context(), config{Path: path}, nil)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Read(t.Context())
	require.ErrorIs(t, err, connect.ErrFatal)
	require.ErrorContains(t, config{}.Validate(), "path: is empty")
}
