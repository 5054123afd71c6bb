//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

const events = "/default/events"

// A running is the command as a process of its own.
type running struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    bytes.Buffer
	errors bytes.Buffer
}

func begin(t *testing.T, args ...string) *running {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	r := &running{cmd: exec.CommandContext(t.Context(), self, args...)}
	r.cmd.Args[0] = "danube-connect-gen" // TestMain runs the command under this name
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errors
	r.in, err = r.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, r.cmd.Start())
	return r
}

// interrupt presses Ctrl-C and gives the exit status.
func (r *running) interrupt(t *testing.T) int {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	_ = r.cmd.Wait() // the status tells
	return r.cmd.ProcessState.ExitCode()
}

func waitFor(t *testing.T, b *danubetest.Broker, met func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, b.WaitFor(ctx, met))
}

// Ctrl-C ends produce although its input is open and silent; it says what it did.
func TestProduceStopsAtASignal(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t)
	r := begin(t, "produce", events, "--broker", b.URL())
	_, err := io.WriteString(r.in, "one\ntwo\n")
	require.NoError(t, err)
	waitFor(t, b, func() bool { return b.Published(events) == 2 })
	require.Equal(t, exitCancelled, r.interrupt(t))
	require.Regexp(t, `^2 messages to /default/events in `, r.out.String())
	require.Equal(t, "danube-connect-gen: produce: cancelled\n", r.errors.String())
}

// A message that is on its way when Ctrl-C comes is confirmed and counted.
func TestProduceFinishesTheMessageOnItsWay(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t)
	b.Delay("SendMessage", 500*time.Millisecond, danubetest.Always)
	r := begin(t, "produce", events, "--broker", b.URL())
	_, err := io.WriteString(r.in, "one\ntwo\n")
	require.NoError(t, err)
	waitFor(t, b, func() bool { return b.Published(events) == 1 })
	require.Equal(t, exitCancelled, r.interrupt(t))
	require.Regexp(t, `^[12] messages? to /default/events in `, r.out.String())
	require.Equal(t, strings.HasPrefix(r.out.String(), "2 "), b.Published(events) == 2, "the summary counts what the broker has")
}

func TestConsumeStopsAtASignal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		flags  []string
		status int
	}{
		"which is how it ends":  {nil, exitDone},
		"before it is finished": {[]string{"--count", "9"}, exitCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := danubetest.Start(t)
			r := begin(t, append([]string{"consume", events, "--broker", b.URL(), "--subscription", "s"}, tt.flags...)...)
			waitFor(t, b, func() bool {
				s, _ := b.Subscription(events, "s")
				return len(s.Connected) > 0
			})
			status, _, errs := invoke(t, "one\ntwo\n", "produce", events, "--broker", b.URL())
			require.Zero(t, status, errs)
			waitFor(t, b, func() bool {
				s, _ := b.Subscription(events, "s")
				return s.Acked == 2
			})
			require.Equal(t, tt.status, r.interrupt(t))
			require.Equal(t, "one\ntwo\n", r.out.String())
			require.Regexp(t, `^2 messages from /default/events in `, r.errors.String())
		})
	}
}

// On a terminal a bar shows how far it is, and is gone in the end.
func TestProduceShowsItsProgressOnATerminal(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t)
	lines := filepath.Join(t.TempDir(), "lines")
	require.NoError(t, os.WriteFile(lines, []byte(strings.Repeat("0123456789\n", 30)), 0o600))
	s := openScreen(t, "produce", events, "--broker", b.URL(), "--from-file", lines, "--rate", "50")
	s.expect(t, "[#####", "")
	s.expect(t, " left", "")
	s.expect(t, "30 messages to /default/events in ", "")
	require.Equal(t, exitDone, s.exit(t))
}
