package connecttest

import (
	"context"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// A SinkTarget is one external system that a sink under test writes to.
type SinkTarget struct {
	// Open opens a sink on the target. It is called again after each simulated crash, on the same target.
	Open func(ctx context.Context) (connect.Sink, error)
	// Stored gives the JSON documents that the target holds, in the order in which they were written, each with at least the fields of
	// the record's value: {"seq": 17, "key": "k1", "text": "…"}.
	Stored func(t testing.TB) [][]byte
	// Poison is a value that the sink must reject.
	Poison []byte
	// Idempotent says that the target holds a record once however often it is written.
	Idempotent bool
}

// Sink runs every case of the sink's contract, each against a target of its own that fresh makes.
func Sink(t *testing.T, fresh func(t *testing.T) SinkTarget) {
	t.Helper()
	for _, c := range sinkCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newSinkBench(t, fresh(t)))
		})
		if !c.spooled {
			continue
		}
		t.Run(c.name+", spooled", func(t *testing.T) {
			t.Parallel()
			b := newSinkBench(t, fresh(t))
			b.spool = t.TempDir()
			c.run(b)
		})
	}
}

// A sinkCase is one clause of the contract.
type sinkCase struct {
	name    string
	catch   string // the bug that it is there for, as advice to an author
	run     func(*sinkBench)
	spooled bool // it holds as well when each message takes the way over the spool
}

var sinkCases = []sinkCase{
	{"delivery", "the sink loses, changes or reorders records when nothing goes wrong", (*sinkBench).delivery, true},
	{"redelivery", "a record that the broker sends again is lost, or stored twice by a target that should hold it once", (*sinkBench).redelivery, true},
	{"poison record", "a record that can never be written takes its neighbours with it, or blocks what follows", (*sinkBench).poisonRecord, true},
	{"transient failure", "records are dropped or change their order when a write fails for a while", (*sinkBench).transientFailure, true},
	{"crash before ack", "what was written and not acknowledged is lost or doubled after a crash", (*sinkBench).crashBeforeAck, true},
	{"crash in mid-batch", "a batch that was half written when the process died is not completed", (*sinkBench).crashInMidBatch, true},
	{"shutdown in mid-batch", "a stop tears a batch apart, or does not acknowledge what was written", (*sinkBench).shutdownInMidBatch, false},
	{"broker restart", "records are lost when the broker forgets its consumers", (*sinkBench).brokerRestart, true},
	{"large and odd values", "size, Unicode or missing keys trip the sink", (*sinkBench).oddValues, true},
}
