package connecttest

import (
	"context"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// A SourceOrigin is one external system that a source under test reads from.
type SourceOrigin struct {
	// Open opens a source on the origin at a position. It is called again after each simulated crash, on the same origin.
	Open func(ctx context.Context, from connect.Position) (connect.Source, error)
	// Produce makes the origin hold values as records, in order, after those that it holds already. A value is one line of JSON:
	// {"seq": 17, "key": "k1", "text": "…"}. The record's value must hold at least its fields.
	Produce func(t testing.TB, values ...[]byte)
}

// Source runs every case of the source's contract, each against an origin of its own that fresh makes.
func Source(t *testing.T, fresh func(t *testing.T) SourceOrigin) {
	t.Helper()
	for _, c := range sourceCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newSourceBench(t, fresh(t)))
		})
	}
}

// A sourceCase is one clause of the contract.
type sourceCase struct {
	name  string
	catch string // the bug that it is there for
	run   func(*sourceBench)
}

var sourceCases = []sourceCase{
	{"delivery", "records are lost, changed, reordered or have no event id of their own when nothing goes wrong", (*sourceBench).delivery},
	{"restart from position", "a restart loses records or repeats those whose position was stored", (*sourceBench).restart},
	{"crash before the position is stored", "replayed records come under new event ids, or some do not come", (*sourceBench).crashBeforeStore},
	{"crash before the first position", "a source that never stored a position does not begin where it began before", (*sourceBench).crashBeforeFirst},
	{"broker refuses", "records are lost while the broker is away", (*sourceBench).brokerRefuses},
	{"shutdown in mid-batch", "a stop loses the position of what was published, or hangs", (*sourceBench).shutdownInMidBatch},
	{"commit", "Commit fails or is called before the records are safe", (*sourceBench).commit},
}
