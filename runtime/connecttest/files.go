package connecttest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// SinkFiles checks the files in the working directory that describe the configuration of the sink named name: connector.toml loads
// without an error or an unknown key, and connector.schema.json and the option table of README.md are what the tags of C say
// (`make docs` writes both).
func SinkFiles[C any](t *testing.T, name string) {
	t.Helper()
	checkFiles(t, func(p connect.Process) int {
		return connect.SinkCommand(t.Context(), p, name, func(context.Context, C) (connect.Sink, error) { return nil, errNotOpened })
	})
}

// SourceFiles is SinkFiles for a source.
func SourceFiles[C any](t *testing.T, name string) {
	t.Helper()
	checkFiles(t, func(p connect.Process) int {
		open := func(context.Context, C, connect.Position) (connect.Source, error) { return nil, errNotOpened }
		return connect.SourceCommand(t.Context(), p, name, open)
	})
}

var errNotOpened = errors.New("not opened: the commands of this check need no external system")

func checkFiles(t *testing.T, command func(connect.Process) int) {
	t.Helper()
	call := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if status := command(connect.Process{Args: args, Stdout: &stdout, Stderr: &stderr}); status != 0 || stderr.Len() > 0 {
			t.Errorf("%s: exit status %d\n%s", strings.Join(args, " "), status, &stderr)
		}
		return stdout.String()
	}
	t.Run("sample configuration", func(t *testing.T) {
		call("validate", "--config", "connector.toml")
	})
	t.Run("schema", func(t *testing.T) {
		compare(t, "connector.schema.json", call("config", "schema"))
	})
	t.Run("option table", func(t *testing.T) {
		have, err := os.ReadFile("README.md")
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "README.md")
		if err := os.WriteFile(copied, have, 0o600); err != nil {
			t.Fatal(err)
		}
		call("config", "docs", "--write", copied)
		want, err := os.ReadFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, "README.md", string(want))
	})
}

func compare(t *testing.T, file, want string) {
	t.Helper()
	have, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v; make docs writes it", err)
		return
	}
	if string(have) != want {
		t.Errorf("%s does not say what the config struct says; make docs writes it anew", file)
	}
}
