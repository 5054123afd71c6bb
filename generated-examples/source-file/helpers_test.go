package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests; none comes near it unless something is broken.
const patience = 20 * time.Second

// A folder is a directory in which a writer works. Its clock goes on by a second with every write, so that the order of events does
// not depend on how fine the time stamps of the file system are.
type folder struct {
	testing.TB
	dir   string
	clock time.Time
}

func newFolder(tb testing.TB) *folder {
	return &folder{TB: tb, dir: tb.TempDir(), clock: time.Now().Add(-time.Hour)}
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// append writes text at the end of a file, which it creates when it is missing.
func (f *folder) append(name, text string) {
	f.Helper()
	file, err := os.OpenFile(f.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	require.NoError(f, err)
	_, err = file.WriteString(text)
	require.NoError(f, errors.Join(err, file.Close()))
	f.touch(name)
}

func (f *folder) touch(name string) {
	f.Helper()
	f.clock = f.clock.Add(time.Second)
	require.NoError(f, os.Chtimes(f.path(name), f.clock, f.clock))
}

func (f *folder) rename(from, to string) {
	f.Helper()
	require.NoError(f, os.Rename(f.path(from), f.path(to)))
}

func (f *folder) remove(name string) {
	f.Helper()
	require.NoError(f, os.Remove(f.path(name)))
}

func (f *folder) copy(from, to string) {
	f.Helper()
	content, err := os.ReadFile(f.path(from))
	require.NoError(f, err)
	require.NoError(f, os.WriteFile(f.path(to), content, 0o644))
	f.touch(to)
}

// truncate empties a file without replacing it.
func (f *folder) truncate(name string) {
	f.Helper()
	require.NoError(f, os.Truncate(f.path(name), 0))
	f.touch(name)
}

// config is one that reads the files that match the patterns, fast enough for tests.
func (f *folder) config(patterns ...string) config {
	c := config{
		Start: "beginning", Follow: true, PollInterval: 20 * time.Millisecond, RotateWait: 30 * time.Millisecond,
		MaxLineBytes: 1 << 20, BatchLines: 1000, BatchBytes: 1 << 20, Key: "none",
	}
	for _, p := range patterns {
		c.Paths = append(c.Paths, f.path(p))
	}
	return c
}

// A reader is a source at work and all that it returned.
type reader struct {
	testing.TB
	source    connect.Source
	records   []connect.Record
	positions []connect.Position // after each record; those of one batch share one
	warnings  []string
}

func (f *folder) open(c config, from connect.Position) *reader {
	f.Helper()
	require.NoError(f, c.Validate())
	s, err := open(f.Context(), c, from)
	require.NoError(f, err)
	f.Cleanup(func() { _ = s.Close() }) // a second Close does no harm
	return &reader{TB: f.TB, source: s}
}

// openPolling opens a source that the operating system tells nothing, as on a network file system.
func (f *folder) openPolling(c config, from connect.Position) *reader {
	f.Helper()
	c.PollInterval = time.Millisecond
	require.NoError(f, c.Validate())
	s, err := newSource(c, from)
	require.NoError(f, err)
	return &reader{TB: f.TB, source: s}
}

// read reads until it has n records in all.
func (r *reader) read(n int) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	for len(r.records) < n {
		r.once(ctx, n)
	}
}

// once calls Read and keeps what it returns.
func (r *reader) once(ctx context.Context, n int) {
	r.Helper()
	b, err := r.source.Read(ctx)
	if ctx.Err() != nil {
		r.Fatalf("Read gave %d of %d records: %q, warnings %q", len(r.records), n, r.values(), r.warnings)
	}
	if err != nil {
		require.NotErrorIs(r, err, io.EOF, "after %d of %d records", len(r.records), n)
		r.warnings = append(r.warnings, err.Error())
		return
	}
	require.NotEmpty(r, b.Records)
	for _, record := range b.Records {
		r.records = append(r.records, record)
		r.positions = append(r.positions, b.Position)
	}
}

// readAll reads until the source ends, which it does when follow is false.
func (r *reader) readAll() {
	r.Helper()
	for {
		b, err := r.source.Read(r.Context())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.warnings = append(r.warnings, err.Error())
			continue
		}
		for _, record := range b.Records {
			r.records = append(r.records, record)
			r.positions = append(r.positions, b.Position)
		}
	}
}

func (r *reader) close() {
	r.Helper()
	require.NoError(r, r.source.Close())
}

func (r *reader) values() []string {
	values := make([]string, len(r.records))
	for i, record := range r.records {
		values[i] = string(record.Value)
	}
	return values
}

func (r *reader) ids() []string {
	ids := make([]string, len(r.records))
	for i, record := range r.records {
		ids[i] = record.Attributes[connect.EventIDAttribute]
	}
	return ids
}

// last is the position after all that was read; nil: nothing was.
func (r *reader) last() connect.Position {
	if len(r.positions) == 0 {
		return nil
	}
	return r.positions[len(r.positions)-1]
}

// requireDone checks that a source that goes on at r's last position finds nothing to read and nothing to say.
func (f *folder) requireDone(c config, from connect.Position) {
	f.Helper()
	c.Follow = false
	end := f.open(c, from)
	end.readAll()
	require.Empty(f, end.values(), "published again")
	require.Empty(f, end.warnings)
	end.close()
}
