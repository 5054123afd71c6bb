package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// invoke runs one command line in this process.
func invoke(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// The broker as a process of its own: it tells where it listens, serves, and ends cleanly at SIGINT.
func TestBrokerServesUntilInterrupted(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "broker", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	cmd.Args[0] = "danube-connect-gen" // TestMain runs the command under this name
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())

	lines := bufio.NewScanner(stdout)
	next := func(prefix string) string {
		require.True(t, lines.Scan(), "the broker ended before it said %q", prefix)
		require.True(t, strings.HasPrefix(lines.Text(), prefix), lines.Text())
		return strings.TrimSpace(strings.TrimPrefix(lines.Text(), prefix))
	}
	url, admin := next("broker ready:"), next("admin API:")
	page := next("status page:")
	next("everything is kept in memory")
	resp, err := http.Get(page)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, resp.Body.Close())

	status, out, errs := invoke(t, "one\ntwo\n", "produce", "/default/x", "--broker", url)
	require.Zero(t, status, errs)
	require.Regexp(t, `^2 messages to /default/x in `, out)
	status, out, errs = invoke(t, "", "topics", "--admin", admin)
	require.Zero(t, status, errs)
	require.Regexp(t, `(?m)^/default/x +0 +Reliable$`, out)

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	next("broker ended")
	require.NoError(t, cmd.Wait())
	require.Empty(t, stderr.String())
}

func TestBrokerRefusesAPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, flags := range [][]string{
		{"--listen", taken.Addr().String()},
		{"--listen", "127.0.0.1:0", "--admin-listen", taken.Addr().String()},
		{"--listen", "127.0.0.1:0", "--admin-listen", "", "--http", taken.Addr().String()},
	} {
		status, _, errs := invoke(t, "", append([]string{"broker"}, flags...)...)
		require.Equal(t, exitEnvironment, status)
		require.Contains(t, errs, "address already in use")
	}
}

// The status page may move aside unless its place was asked for, and there need not be one.
func TestStatusPageTakesAFreePort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	l, err := (&brokerOptions{http: taken.Addr().String(), anyWeb: true}).listenWeb()
	require.NoError(t, err)
	require.NotEqual(t, taken.Addr().String(), l.Addr().String())
	require.NoError(t, l.Close())
	l, err = (&brokerOptions{}).listenWeb()
	require.NoError(t, err)
	require.Nil(t, l)
}

// startConsume runs consume until it has seen count messages and returns when its subscription stands.
func startConsume(t *testing.T, b *danubetest.Broker, args ...string) (wait func() string) {
	t.Helper()
	var out bytes.Buffer
	status := make(chan int, 1)
	go func() {
		status <- run(append([]string{"consume", "/default/x", "--broker", b.URL()}, args...), nil, &out, io.Discard)
	}()
	attached := func() bool {
		s, ok := b.Subscription("/default/x", "danube-connect-gen")
		return ok && len(s.Connected) > 0
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, b.WaitFor(ctx, attached))
	return func() string {
		require.Zero(t, <-status)
		return out.String()
	}
}

func TestConsumePrintsWhatIsProduced(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t)
	wait := startConsume(t, b, "--count", "3")
	status, _, errs := invoke(t, "one\n\nthree", "produce", "/default/x", "--broker", b.URL())
	require.Zero(t, status, errs)
	require.Equal(t, "one\n\nthree\n", wait())
	require.Zero(t, b.Unacked("/default/x", "danube-connect-gen"), "all are acknowledged before it ends")
}

func TestConsumeAsJSONTellsAllOfAMessage(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t)
	wait := startConsume(t, b, "--count", "2", "--json", "--no-ack")
	status, _, errs := invoke(t, "<a>\n\xff\n", "produce", "/default/x", "--broker", b.URL(), "--key", "k", "--attribute", "a=1", "--attribute", "b=2")
	require.Zero(t, status, errs)
	text, binary, _ := strings.Cut(wait(), "\n")
	require.Contains(t, text, `"value":"<a>"`)
	require.Contains(t, binary, `"value_base64":"/w=="`)
	var m jsonMessage
	require.NoError(t, json.Unmarshal([]byte(text), &m))
	require.Equal(t, "k", m.Key)
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, m.Attributes)
	require.Equal(t, -1, m.Partition)
	require.Equal(t, 2, b.Delivered("/default/x", "danube-connect-gen"))
	require.Equal(t, 2, b.Unacked("/default/x", "danube-connect-gen"), "nothing is acknowledged")
}

func TestProduceStopsAtTheCountAndKeepsThePace(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t)
	start := time.Now()
	status, out, errs := invoke(t, strings.Repeat("x\n", 100), "produce", "/default/x", "--broker", b.URL(), "--count", "5", "--rate", "100")
	require.Zero(t, status, errs)
	require.Regexp(t, `^5 messages `, out)
	require.Equal(t, 5, b.Published("/default/x"))
	require.GreaterOrEqual(t, time.Since(start), 40*time.Millisecond, "four waits of 10 ms lie between five messages")
}

func TestProduceTellsWhatTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t)
	status, _, errs := invoke(t, "x\n", "produce", "/default/x", "--broker", b.URL())
	require.Zero(t, status, errs)
	status, _, errs = invoke(t, "x\n", "produce", "/default/x", "--broker", b.URL(), "--reliable=false")
	require.Equal(t, exitFailed, status)
	require.Regexp(t, `^danube-connect-gen: produce: create producer /default/x: .*NonReliable does not match`, errs)
}
