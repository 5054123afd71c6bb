package danubetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// overlapped publishes with one producer while a publish of another is not answered, and tells the offsets in the order in which a
// fresh subscription gets them. It reads less than is published, so that neighbours are there to be exchanged.
func overlapped(t *testing.T, overlap bool, opts ...danubetest.Option) (offsets []uint64) {
	t.Helper()
	const rounds, burst = 30, 100
	bubble(t, func(t *testing.T, c *client) {
		p, q := c.producer(orders, "p", reliable), c.producer(orders, "q", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		if overlap {
			c.subscribe(orders, "blocked", "c", exclusive) // never reads, so publishers come to wait for it
			for p.trySend("x") == ok {
			}
			go func() { _, _ = p.c.SendMessage(c.ctx, p.message("x")) }() // until the test ends
		}
		for range rounds {
			for range burst {
				require.Equal(t, overlap, q.trySend("x") == hangs)
			}
			for came := r.came(time.Millisecond); len(came) > 0; came = r.came(time.Millisecond) {
				for _, m := range came {
					offsets = append(offsets, offset(m))
					require.Equal(t, ok, c.tryAck(orders, "s", offset(m)))
				}
			}
		}
		require.GreaterOrEqual(t, len(offsets), rounds*burst)
	}, append(opts, patientPolicy())...)
	return offsets
}

// stepsBack tells where an offset comes after its follower, and requires that the offsets are in order but for that.
func stepsBack(t *testing.T, offsets []uint64) (at []uint64) {
	t.Helper()
	for i := 0; i < len(offsets); i++ {
		if offsets[i] == uint64(i) {
			continue
		}
		require.Equal(t, []uint64{uint64(i + 1), uint64(i)}, offsets[i:i+2], "only neighbours change places, and nothing is lost")
		at = append(at, uint64(i))
		i++
	}
	return at
}

func TestDB71ReorderOfOverlappingProducers(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, overlap bool, opts ...danubetest.Option) []uint64 {
		return stepsBack(t, overlapped(t, overlap, opts...))
	}
	trap := danubetest.Trap("reorder", "hand-over")
	first := run(t, true, trap, danubetest.Seed(1))
	require.InDelta(t, 6, len(first), 6, "about one in 500 of 3000")
	require.NotEmpty(t, first)
	require.Equal(t, first, run(t, true, trap, danubetest.Seed(1)), "the same seed chooses the same places")
	require.NotEqual(t, first, run(t, true, trap, danubetest.Seed(2)), "another seed chooses others")
	require.Empty(t, run(t, false, trap), "without another publish under way")
	require.Empty(t, run(t, true, danubetest.Trap("hand-over")), "without the trap")
	require.Empty(t, run(t, false), "friendly")
}
