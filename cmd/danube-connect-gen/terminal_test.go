//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

// A screen is a pseudo-terminal with the command, as a process of its own, on one side and the test on the other.
type screen struct {
	keys  *os.File
	cmd   *exec.Cmd
	mu    sync.Mutex
	shown bytes.Buffer
	more  chan struct{}
}

// openScreen starts the command in an empty directory. Its output is read until the terminal closes.
func openScreen(t *testing.T, args ...string) *screen {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Args[0] = "danube-connect-gen" // TestMain runs the command under this name
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	cmd.Dir = t.TempDir()
	near, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 100})
	require.NoError(t, err)
	s := &screen{keys: near, cmd: cmd, more: make(chan struct{}, 1)}
	var reading sync.WaitGroup
	reading.Go(s.read)
	t.Cleanup(func() {
		require.NoError(t, near.Close())
		reading.Wait()
	})
	return s
}

// exit waits for the command's end and gives its status.
func (s *screen) exit(t *testing.T) int {
	t.Helper()
	err := s.cmd.Wait()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.ExitCode()
	}
	require.NoError(t, err)
	return exitDone
}

func (s *screen) read() {
	b := make([]byte, 4096)
	for {
		n, err := s.keys.Read(b)
		s.mu.Lock()
		s.shown.Write(b[:n])
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// expect waits until the text has been shown since the last expectation was met, then types the keys.
func (s *screen) expect(t *testing.T, text, keys string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		shown := s.shown.String()
		i := strings.Index(shown, text)
		if i >= 0 {
			s.shown.Next(i + len(text))
		}
		s.mu.Unlock()
		if i >= 0 {
			_, err := io.WriteString(s.keys, keys)
			require.NoError(t, err)
			return
		}
		select {
		case <-s.more:
		case <-deadline:
			t.Fatalf("%q was not shown; the screen: %q", text, shown)
		}
	}
}

const (
	enter = "\r"
	down  = "\x1b[B"
	ctrlC = "\x03"
)

func TestWizardInATerminal(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	s := openScreen(t, "new")
	s.expect(t, "Kind of connector", enter)
	s.expect(t, "External system", down+enter)
	s.expect(t, "Go module path", "example.com/acme/hook"+enter)
	s.expect(t, "Directory to write to", dir+enter)
	s.expect(t, "Danube topic that", enter)
	s.expect(t, "sink mongodb, topic /default/events", "")
	s.expect(t, "Write these files?", enter)
	s.expect(t, "created "+dir, "")
	s.expect(t, "danube-connect-gen new sink mongodb --module example.com/acme/hook --dir "+dir, "")
	require.Zero(t, s.exit(t))
	require.FileExists(t, filepath.Join(dir, "go.mod"))
}

func TestCtrlCWritesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	s := openScreen(t, "new", "sink", "--dir", dir)
	s.expect(t, "External system", ctrlC)
	s.expect(t, "danube-connect-gen: new: cancelled; nothing was written", "")
	require.Equal(t, exitCancelled, s.exit(t))
	require.NoDirExists(t, dir)
}

func TestNoAtTheEndWritesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	s := openScreen(t, "new", "sink", "http", "--dir", dir)
	s.expect(t, "Go module path", "example.com/acme/hook"+enter)
	s.expect(t, "Danube topic that", enter)
	s.expect(t, "Write these files?", "n")
	require.Equal(t, exitCancelled, s.exit(t))
	require.NoDirExists(t, dir)
}

// On a terminal with everything answered nothing is asked.
func TestFlagsAnswerEverything(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	s := openScreen(t, "new", "sink", "http", "--module", "example.com/acme/hook", "--dir", dir)
	s.expect(t, "created "+dir, "")
	require.Zero(t, s.exit(t))
}
