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
	}
}

// A sinkCase is one clause of the contract.
type sinkCase struct {
	name  string
	catch string // the bug that it is there for, as advice to an author
	run   func(*sinkBench)
}

var sinkCases = []sinkCase{
	{"delivery", "the sink loses, changes or reorders records when nothing goes wrong", (*sinkBench).delivery},
	{"redelivery", "a record that the broker sends again is lost, or stored twice by a target that should hold it once", (*sinkBench).redelivery},
	{"poison record", "a record that can never be written takes its neighbours with it, or blocks what follows", (*sinkBench).poisonRecord},
	{"transient failure", "records are dropped or change their order when a write fails for a while", (*sinkBench).transientFailure},
	{"crash before ack", "what was written and not acknowledged is lost or doubled after a crash", (*sinkBench).crashBeforeAck},
	{"crash in mid-batch", "a batch that was half written when the process died is not completed", (*sinkBench).crashInMidBatch},
	{"shutdown in mid-batch", "a stop tears a batch apart, or does not acknowledge what was written", (*sinkBench).shutdownInMidBatch},
	{"broker restart", "records are lost when the broker forgets its consumers", (*sinkBench).brokerRestart},
	{"large and odd values", "size, Unicode or missing keys trip the sink", (*sinkBench).oddValues},
}
