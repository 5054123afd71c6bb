package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestByteSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "1000": 1000, "3KiB": 3 << 10, "500MiB": 500 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40} {
		var s byteSize
		require.NoError(t, s.Set(text))
		require.Equal(t, want, int64(s))
		require.Equal(t, text, s.String())
	}
	for _, text := range []string{"", "x", "-1", "1.5GiB", "1GB", "GiB", "9000000TiB"} {
		var s byteSize
		require.Error(t, s.Set(text), text)
	}
}

func TestBrokerTellsWhatIsWrongWithItsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	danubetest.Start(t, danubetest.DataDir(dir))
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, tt := range map[string]struct {
		flags []string
		exit  int
		says  string
	}{
		"in use":             {flags: []string{"--data-dir", dir}, exit: exitEnvironment, says: "is in use by process"},
		"no folder":          {flags: []string{"--data-dir", file}, exit: exitEnvironment, says: "not a directory"},
		"size in memory":     {flags: []string{"--retention-size", "1MiB"}, exit: exitBadInput, says: "name a folder with --data-dir"},
		"time in memory":     {flags: []string{"--retention-time", "1h"}, exit: exitBadInput, says: "name a folder with --data-dir"},
		"disk in memory":     {flags: []string{"--max-disk", "1GiB"}, exit: exitBadInput, says: "name a folder with --data-dir"},
		"negative retention": {flags: []string{"--data-dir", t.TempDir(), "--retention-time", "-1h"}, exit: exitBadInput, says: "is negative"},
		"no size":            {flags: []string{"--data-dir", t.TempDir(), "--retention-size", "many"}, exit: exitBadInput, says: "write bytes, or KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := append([]string{"broker", "--listen", "127.0.0.1:0", "--admin-listen", "", "--http", ""}, tt.flags...)
			status, _, errs := invoke(t, "", flags...)
			require.Equal(t, tt.exit, status, errs)
			require.Contains(t, errs, tt.says)
		})
	}
}
