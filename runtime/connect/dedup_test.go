package connect_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

func withIDs(ids ...string) []connect.Record {
	var batch []connect.Record
	for _, id := range ids {
		batch = append(batch, connect.Record{Attributes: map[string]string{connect.EventIDAttribute: id}})
	}
	return batch
}

// unseen gives places and ids of what Unseen gives.
func unseen(d *connect.Dedup, batch []connect.Record) []string {
	var got []string
	for i, r := range d.Unseen(batch) {
		got = append(got, fmt.Sprint(i, " ", r.EventID()))
	}
	return got
}

func TestDedupGivesWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	d := connect.NewDedup(0)
	batch := withIDs("a", "b", "a", "c")
	require.Equal(t, []string{"0 a", "1 b", "3 c"}, unseen(d, batch), "of copies the first")
	require.Equal(t, []string{"0 a", "1 b", "3 c"}, unseen(d, batch), "what is not added comes again")
	d.Add(batch[1])
	require.Equal(t, []string{"0 a", "3 c"}, unseen(d, batch), "places are those in the batch")
	require.True(t, d.Seen("b"))
	require.False(t, d.Seen("a"))
	d.Add(batch...)
	require.Empty(t, unseen(d, batch))
}

func TestDedupStopsEarly(t *testing.T) {
	t.Parallel()
	d := connect.NewDedup(0)
	n := 0
	for range d.Unseen(withIDs("a", "b", "c")) {
		n++
		break
	}
	require.Equal(t, 1, n)
}

func TestDedupTellsDerivedIDsApart(t *testing.T) {
	t.Parallel()
	d := connect.NewDedup(0)
	batch := []connect.Record{{Topic: "/default/t", Offset: 1}, {Topic: "/default/t", Offset: 2}}
	d.Add(batch[0])
	require.Len(t, unseen(d, batch), 1)
}

func TestDedupForgetsTheOldest(t *testing.T) {
	t.Parallel()
	d := connect.NewDedup(3)
	d.Add(withIDs("a", "b", "c")...)
	d.Add(withIDs("a")...) // keeps its place
	d.Add(withIDs("d")...)
	require.Equal(t, []string{"0 a"}, unseen(d, withIDs("a", "b", "c", "d")))
	d.Add(withIDs("e", "f", "g")...)
	require.Equal(t, []string{"0 a", "1 b", "2 c", "3 d"}, unseen(d, withIDs("a", "b", "c", "d", "e", "f", "g")))
	for i := range 1000 {
		d.Add(withIDs(fmt.Sprint(i))...)
		for _, place := range []int{0, 1, 2} {
			require.Equal(t, i-place >= 0, d.Seen(fmt.Sprint(i-place)), "%d of the last three", i-place)
		}
		require.False(t, d.Seen(fmt.Sprint(i-3)), "more than three")
	}
}

func TestDedupOfManyAtOnce(t *testing.T) {
	t.Parallel()
	d := connect.NewDedup(1000)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 200 {
				batch := withIDs(fmt.Sprint(worker, "-", i))
				for range d.Unseen(batch) {
					d.Add(batch...)
				}
			}
		})
	}
	all.Wait()
	for worker := range 4 {
		for i := range 200 {
			require.True(t, d.Seen(fmt.Sprint(worker, "-", i)))
		}
	}
}

// The memory that the documentation names, full and after many more ids than it remembers; not parallel, because it reads the heap.
func TestDedupMemory(t *testing.T) {
	const ids = 60_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	d := connect.NewDedup(ids)
	for _, n := range []int{ids, 2 * ids} {
		for i := range n {
			d.Add(withIDs(fmt.Sprintf("a rather long event id, for the sake of the memory %d-%d", n, i))...)
		}
		perID := float64(heap()-before) / ids
		t.Logf("%.0f bytes for each id", perID)
		require.Less(t, perID, 80.0)
	}
	require.True(t, d.Seen(fmt.Sprintf("a rather long event id, for the sake of the memory %d-%d", 2*ids, 2*ids-1)))
}
