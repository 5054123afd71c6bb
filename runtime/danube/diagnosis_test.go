package danube

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// ago is a time before noon, at which all observations of these tests are made.
func ago(d time.Duration) time.Time { return noon.Add(-d) }

// silent is a stream that has been open for an hour and brings nothing.
func silent(change func(*observation)) observation {
	o := observation{now: noon, all: true, opened: ago(time.Hour), busy: ago(30 * time.Minute), came: ago(30 * time.Minute), healthy: ago(time.Second)}
	change(&o)
	return o
}

// missed is silent, and a message that was published does not come.
func missed(change func(*observation)) observation {
	return silent(func(o *observation) {
		o.published = ago(patience)
		change(o)
	})
}

func told(lag, blocked int64) GaugeReading {
	return GaugeReading{At: ago(time.Second), Lag: lag, Blocked: blocked, BlockedTold: true}
}

func closed(change func(*observation)) observation {
	o := observation{now: noon, all: true, ended: ago(time.Hour), failure: errors.New("connection lost")}
	change(&o)
	return o
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		o    observation
		want State
		says string // in the cause
		mend string
	}{
		"open and quiet":                   {silent(func(*observation) {}), StateOpen, "", ""},
		"what was published came":          {silent(func(o *observation) { o.published = time.Time{} }), StateOpen, "", ""},
		"a message is late":                {missed(func(o *observation) { o.published = ago(patience - 1) }), StateOpen, "", ""},
		"the caller holds what came":       {missed(func(o *observation) { o.inFlight, o.busy = true, noon }), StateOpen, "", ""},
		"the caller let go a moment ago":   {missed(func(o *observation) { o.busy = ago(patience - 1) }), StateOpen, "", ""},
		"others may have got it":           {missed(func(o *observation) { o.kind, o.all = Shared, false }), StateOpen, "", ""},
		"messages lost in the ring":        {silent(func(o *observation) { o.gauge, o.acked = told(291, 0), true }), StateOpen, "", ""},
		"acks late":                        {silent(func(o *observation) { o.hanging = ago(ackPatience - 1) }), StateOpen, "", ""},
		"a publish hangs, none is missing": {silent(func(o *observation) { o.deaf, o.busy = ago(time.Minute), ago(time.Second) }), StateOpen, "", ""},
		"a publish hangs, nobody answers":  {silent(func(o *observation) { o.deaf, o.healthy = ago(time.Minute), ago(time.Hour) }), StateOpen, "", ""},
		"a publish hangs for a moment":     {silent(func(o *observation) { o.deaf = ago(2*sendTimeout - 1) }), StateOpen, "", ""},
		"dead letters on their way":        {silent(func(o *observation) { o.gauge, o.exhausted = told(1, 1), ago(exhaustion-1) }), StateOpen, "", ""},
		"dead letters late, messages come": {silent(func(o *observation) { o.gauge, o.exhausted, o.came = told(1, 1), ago(time.Hour), ago(exhaustion-1) }), StateOpen, "", ""},

		"paused":      {closed(func(o *observation) { o.paused = errors.New("target away") }), StatePaused, "target away", ""},
		"refused":     {closed(func(o *observation) { o.refused = errors.New("no binding") }), StateRefused, "no binding", "change"},
		"starting":    {closed(func(o *observation) { o.ended = time.Time{} }), StateStarting, "connection lost", ""},
		"lost":        {closed(func(*observation) {}), StateLost, "connection lost", ""},
		"pinned":      {closed(func(o *observation) { o.unanswered = ago(deafness) }), StateStalled, "frozen", mendPublish},
		"slow":        {closed(func(o *observation) { o.unanswered, o.deaf = ago(deafness-1), ago(time.Hour) }), StateLost, "connection lost", ""},
		"deadlocked":  {closed(func(o *observation) { o.unanswered, o.deaf = ago(deafness), ago(2*sendTimeout) }), StateDeadlocked, "Subscribe hangs since 11:59:15", mendDelete},
		"evicted":     {closed(func(o *observation) { o.kind, o.ended = KeyShared, ago(evictedAfter) }), StateEvicted, "3 s", "none is needed"},
		"key lost":    {closed(func(o *observation) { o.kind, o.ended = KeyShared, ago(evictedAfter-1) }), StateLost, "connection lost", ""},
		"key refused": {closed(func(o *observation) { o.kind, o.ended = KeyShared, time.Time{} }), StateStarting, "connection lost", ""},

		"frozen":              {silent(func(o *observation) { o.hanging, o.gauge.Sole = ago(ackPatience), true }), StateFrozen, "newest", mendPublish},
		"frozen or held up":   {silent(func(o *observation) { o.hanging = ago(ackPatience) }), StateStalled, "frozen", mendPublish},
		"frozen, Shared":      {silent(func(o *observation) { o.hanging, o.gauge.Sole, o.all = ago(ackPatience), true, false }), StateStalled, "frozen", mendPublish},
		"held up, acks hang":  {silent(func(o *observation) { o.hanging, o.deaf = ago(ackPatience), ago(time.Second) }), StateStalled, "does not read", mendReader},
		"held up, no ack due": {silent(func(o *observation) { o.deaf = ago(2 * sendTimeout) }), StateStalled, "does not read", mendReader},

		"blocked":                    {missed(func(o *observation) { o.gauge, o.exhausted, o.published = told(3, 2), ago(exhaustion), ago(exhaustion) }), StateBlocked, "2 messages", mendResubscribe},
		"blocked, others publish":    {silent(func(o *observation) { o.gauge, o.exhausted, o.grown = told(3, 2), ago(exhaustion), ago(exhaustion) }), StateBlocked, "2 messages", mendResubscribe},
		"blocked or dead letters":    {silent(func(o *observation) { o.gauge, o.exhausted = told(0, 1), ago(exhaustion) }), StateStalled, "dead letters", "dead-letter topic"},
		"blocked while more is held": {missed(func(o *observation) { o.gauge, o.exhausted, o.inFlight = told(3, 1), ago(exhaustion), true }), StateStalled, "dead letters", "dead-letter topic"},
		"dead":                       {missed(func(o *observation) { o.gauge = told(5, 0) }), StateDead, "5 messages", mendResubscribe},
		"dead, others publish":       {silent(func(o *observation) { o.gauge, o.grown = told(5, 0), ago(patience) }), StateDead, "5 messages", mendResubscribe},
		"behind":                     {missed(func(o *observation) { o.gauge, o.acked = told(0, 0), true }), StateBehind, "nothing as unread", mendNewName},
		"dead or behind":             {missed(func(o *observation) { o.gauge = told(0, 0) }), StateStalled, "or behind", mendNewName},
		"no gauges":                  {missed(func(*observation) {}), StateStalled, "blocked by the poison policy, its reader dead", "gauges"},
		"old gauges":                 {missed(func(o *observation) { o.gauge, o.gauge.At = told(5, 0), ago(patience) }), StateStalled, "blocked by", "gauges"},
		"key evicted":                {missed(func(o *observation) { o.kind, o.missed = KeyShared, keyedMisses }), StateStalled, "evicted", "another name"},
		"key one message behind":     {missed(func(o *observation) { o.kind, o.missed = KeyShared, keyedMisses-1 }), StateOpen, "", ""},
		"key held":                   {missed(func(o *observation) { o.kind, o.missed, o.inFlight = KeyShared, keyedMisses, true }), StateOpen, "", ""},
		"key not alone":              {missed(func(o *observation) { o.kind, o.missed, o.all = KeyShared, keyedMisses, false }), StateOpen, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := diagnose(tt.o)
			require.Equal(t, tt.want, got.state, "%+v", got)
			require.Contains(t, got.cause, tt.says)
			require.Contains(t, got.mend, tt.mend)
			if tt.want.Stands() {
				require.NotEmpty(t, got.mend)
				return
			}
			require.Equal(t, tt.says == "", got.cause == "")
			require.Equal(t, tt.mend == "", got.mend == "")
		})
	}
}

func TestStatesAreNamed(t *testing.T) {
	t.Parallel()
	for s := StateStarting; s <= StateStalled; s++ {
		text, err := s.MarshalText()
		require.NoError(t, err)
		require.NotEmpty(t, text)
		var back State
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, s, back)
	}
	require.ErrorContains(t, new(State).UnmarshalText([]byte("asleep")), `"asleep" is not a state; there are starting, open`)
}

func TestAStandingTellsWhatIsNew(t *testing.T) {
	t.Parallel()
	s := standing{now: SubscriptionState{Topic: "/a/b", Since: ago(time.Hour)}}
	step := func(v verdict, life int, d time.Duration) bool {
		_, changed := s.set(v, life, ago(d))
		return changed
	}
	require.True(t, step(verdict{StateLost, "one", ""}, 0, 9))
	require.False(t, step(verdict{StateLost, "one", ""}, 0, 8), "nothing is new")
	require.True(t, step(verdict{StateLost, "two", ""}, 0, 7), "another cause")
	require.True(t, step(verdict{StateLost, "two", ""}, 1, 6), "another life")
	want := SubscriptionState{Topic: "/a/b", State: StateLost, Since: ago(9), Cause: "two", Life: 1}
	if diff := cmp.Diff(want, s.get()); diff != "" {
		t.Errorf("standing (-want +got):\n%s", diff)
	}
}

func TestPublishesOfAClientAreSummedUp(t *testing.T) {
	t.Parallel()
	c := new(Client)
	reliable := &Producer{client: c, settings: ProducerSettings{Reliable: true}}
	a, b := reliable.newLane("/a/b", "a"), reliable.newLane("/a/b", "b")
	other := reliable.newLane("/a/c", "c")
	lossy := (&Producer{client: c}).newLane("/a/b", "d")
	deadline := status.Error(codes.DeadlineExceeded, "late")
	for _, l := range []*lane{other, lossy} {
		l.sight.answered(ago(1), nil)
		l.sight.answered(ago(1), deadline)
	}
	require.Zero(t, c.publishers.sight("/a/b"), "other topics and lossy ones say nothing")
	a.sight.answered(ago(50), nil)
	a.sight.answered(ago(60), nil)
	require.Equal(t, publishSight{proven: ago(50)}, c.publishers.sight("/a/b"), "the newest counts")
	a.sight.answered(ago(40), deadline)
	a.sight.answered(ago(30), deadline)
	b.sight.answered(ago(35), deadline)
	require.Equal(t, publishSight{proven: ago(50), hanging: ago(40)}, c.publishers.sight("/a/b"), "the first counts")
	b.sight.answered(ago(20), nil)
	require.Equal(t, publishSight{proven: ago(20)}, c.publishers.sight("/a/b"), "another one got through")
	a.close()
	b.close()
	require.Zero(t, c.publishers.sight("/a/b"))
	require.Equal(t, publishSight{proven: ago(1), hanging: ago(1)}, c.publishers.sight("/a/c"))
}
