package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

func TestTheSpoolCommands(t *testing.T) {
	t.Parallel()
	s, dir := newStage(t), t.TempDir()
	env := []string{"DANUBE_SERVICE_URL=" + s.broker.URL(), "CONNECTOR_NAME=c", "DANUBE_TOPIC=" + ordersTopic, "SUBSCRIPTION_NAME=s",
		"HOOK_URL=http://x", "SPOOL_DIR=" + dir, "METRICS_PORT=0"}
	target := &scripted{write: func([]Record) error { return errors.New("connection refused") }}
	spools := func(args ...string) (status int, stdout, stderr string) {
		var out, errs bytes.Buffer
		status = SinkCommand(t.Context(), Process{Args: args, Env: env, Stdout: &out, Stderr: &errs}, "hook",
			func(context.Context, hook) (Sink, error) { return target, nil })
		return status, out.String(), errs.String()
	}

	status, out, errs := spools("spool", "show")
	require.Zero(t, status, errs)
	require.Equal(t, "there is no spool\n", out)

	s.sink(func(c *SinkSettings) { c.Spool = SpoolSettings{Mode: SpoolAlways, Dir: dir} }, opening(target))
	s.publish(0, 20)
	s.settled()
	status, _, errs = spools("spool", "show")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "in use by process")
	require.NoError(t, s.stop())

	status, out, errs = spools("spool", "show")
	require.Zero(t, status, errs)
	require.Contains(t, out, "/default/orders: 20 messages wait in "+filepath.Join(dir, "c"))
	require.Contains(t, out, "the oldest is offset 0, spooled at 20")

	status, out, errs = spools("spool", "export")
	require.Zero(t, status, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 20)
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[3]), &m))
	require.Equal(t, []any{ordersTopic, "k3", "3", 3.0, -1.0}, []any{m["topic"], m["key"], m["text"], m["offset"], m["partition"]})
	require.Len(t, m["event_id"], 32)

	status, _, errs = spools("run", "--config", write(t, `spool.mode = "off"`))
	require.Equal(t, 1, status)
	require.Contains(t, errs, `20 messages wait in `)
	require.Contains(t, errs, `with the command "spool drain"`)

	target.write = nil
	status, out, errs = spools("spool", "drain")
	require.Zero(t, status, errs)
	require.Contains(t, out, "/default/orders: 0 messages wait")
	require.Len(t, target.values(), 20)
}

func TestExportWritesWhatStandsBeforeADamagedPlace(t *testing.T) {
	t.Parallel()
	s, dir := newStage(t), t.TempDir()
	target := &scripted{write: func([]Record) error { return errors.New("connection refused") }}
	spool := SpoolSettings{Mode: SpoolAlways, Dir: dir, MaxBytes: 1 << 20} // in several files
	s.sink(func(c *SinkSettings) { c.Spool = spool }, opening(target))
	value := bytes.Repeat([]byte("x"), 10_000)
	for range 40 {
		require.NoError(t, s.producer.Send(t.Context(), danube.Message{Payload: value}))
	}
	s.settled()
	require.NoError(t, s.stop())
	files, err := filepath.Glob(filepath.Join(dir, "c", "*", "messages", "*"))
	require.NoError(t, err)
	require.Greater(t, len(files), 2)
	text, err := os.ReadFile(files[0])
	require.NoError(t, err)
	text[50_000] ^= 1
	require.NoError(t, os.WriteFile(files[0], text, 0o600))

	settings := SinkSettings{Settings: s.settings(), Routes: []SinkRoute{{From: ordersTopic, Subscription: "s"}}, Spool: spool}
	var out bytes.Buffer
	err = exportSpools(&out, settings)
	require.ErrorContains(t, err, files[0])
	require.ErrorContains(t, err, "restore the file from a copy")
	require.Equal(t, 4, strings.Count(out.String(), "\n"))

	settings.Metrics = nil
	target.write = nil
	err = StreamSink(t.Context(), settings, opening(target))
	require.ErrorContains(t, err, files[0])
	require.ErrorIs(t, err, ErrFatal, "a start must not forget")
	require.Empty(t, target.values())
}
