package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// endsWithin is far beyond the two seconds that a broker may take, for the sake of machines that have much else to do.
const endsWithin = 20 * time.Second

// A broker that is asked to end does so by itself and without a complaint, while clients publish, acknowledge and do not read, and what
// it confirmed is there when it is started again.
func TestBrokerEndsCleanlyUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLedger()
	p := startBrokerProcess(t, dir)
	producer := p.register(t)
	p.subscribe(t, "worker")
	_, err := p.ReceiveMessages(t.Context(), &danubepb.ReceiveRequest{ConsumerId: p.subscribe(t, "audit")}) // nobody reads
	require.NoError(t, err)
	var took time.Duration
	l.load(t, p, producer, 1000, 0, func() {
		begin := time.Now()
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		tooLong := time.AfterFunc(endsWithin, func() { _ = p.cmd.Process.Kill() }) // it may end at this instant
		defer tooLong.Stop()
		require.NoError(t, p.cmd.Wait(), "the broker did not end by itself within %v: %s", endsWithin, &p.stderr)
		took = time.Since(begin)
	})
	t.Logf("the broker ended in %v, with %d messages", took.Round(time.Millisecond), len(l.confirmed))
	require.NoError(t, p.conn.Close())
	require.Empty(t, p.stderr.String())

	p = startBrokerProcess(t, dir)
	l.verify(t, p, p.register(t))
	p.kill(t)
}
