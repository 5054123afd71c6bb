package spool_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog/seglogtest"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// The machine ends at random points of a spool's lives. The mark is kept beside the machine, as what was saved stays saved.
func TestWhatWasSyncedOutlivesTheMachine(t *testing.T) {
	t.Parallel()
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			o := newOutages(t, seed)
			for range 6 {
				o.life()
			}
			require.NoError(t, o.open())
			o.check()
			require.NoError(t, o.spool.Close())
		})
	}
}

// outages are the lives of one spool and the broker that fills it.
type outages struct {
	t       *testing.T
	random  *rand.Rand
	machine *seglogtest.Machine
	options spool.Options
	spool   *spool.Spool

	sent  int            // messages so far
	safe  map[int]uint64 // place of each message that Sync confirmed or that was there after a start
	saved uint64         // places below it never come again
}

func newOutages(t *testing.T, seed uint64) *outages {
	o := &outages{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), machine: seglogtest.New(), safe: map[int]uint64{},
	}
	root := t.TempDir()
	require.NoError(t, o.machine.MkdirAll(root, 0o755))
	for dir := root; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		require.NoError(t, o.machine.SyncDir(filepath.Dir(dir)))
	}
	o.options = spool.Options{Dir: filepath.Join(root, "made", "here"), MaxBytes: 150_000 + o.random.Int64N(300_000)}
	return o
}

func (o *outages) open() (err error) {
	o.options.FS = o.machine
	o.spool, err = spool.Open(o.options)
	return err
}

// life is one of the spool, from its start to the end of its machine.
func (o *outages) life() {
	o.machine.EndAfter(o.random.IntN(3 + 60*o.random.IntN(2))) // often during the start or soon after
	err := o.open()
	if err == nil {
		o.check()
		for err == nil {
			err = o.step()
		}
		o.spool.Die()
	}
	require.ErrorIs(o.t, err, seglogtest.ErrOff)
	o.machine = o.machine.After(o.random)
}

// check compares what a start finds with what must be there.
func (o *outages) check() {
	if o.machine.Off() {
		return
	}
	stats := o.spool.Stats()
	require.Equal(o.t, o.saved, stats.Settled, "exactly what was saved is settled")
	there := make(map[int]uint64)
	r := o.spool.Reader(stats.Settled)
	defer r.Close()
	for seq := stats.Settled; seq < stats.Next; seq++ {
		m, _, err := r.Next()
		if errors.Is(err, seglogtest.ErrOff) {
			return
		}
		require.NoError(o.t, err)
		n := int(m.Offset)
		require.Equal(o.t, string(numbered(n).Payload), string(m.Payload))
		require.NotContains(o.t, there, n, "message %d is there twice", n)
		there[n] = seq
	}
	for n, seq := range o.safe {
		if seq < o.saved {
			require.NotContains(o.t, there, n, "message %d was settled and saved", n)
		} else {
			require.Equal(o.t, seq, there[n], "message %d", n)
		}
	}
	for n, seq := range there {
		o.safe[n] = seq // also one that nobody was told of
	}
}

// numbered is a message whose size follows from its number.
func numbered(n int) *danube.Message { return message(n, n*n%20_000) }

// step does one thing. The error is that the machine is off.
func (o *outages) step() error {
	switch o.random.IntN(8) {
	case 0:
		err := o.spool.Save()
		o.saved = o.spool.Stats().Settled // the mark is kept beside the machine
		return err
	case 1, 2:
		o.settle()
		return nil
	case 3:
		return o.append(o.random.IntN(o.sent + 1)) // the broker delivers it again
	default:
		n := o.sent
		o.sent += 1 + o.random.IntN(6)
		var batch []int
		for ; n < o.sent; n++ {
			batch = append(batch, n)
		}
		return o.append(batch...)
	}
}

// settle settles some of what is safe, now and then not the first.
func (o *outages) settle() {
	for _, n := range slices.Sorted(maps.Keys(o.safe)) { // in order, so that a seed always does the same
		if seq := o.safe[n]; o.random.IntN(3) > 0 {
			o.spool.Done(seq)
		}
	}
}

// append appends what the broker delivers, and syncs it.
func (o *outages) append(batch ...int) error {
	places := make(map[int]uint64)
	for _, n := range batch {
		o.sent = max(o.sent, n+1)
		next := o.spool.Stats().Next
		seq, fresh, err := o.spool.Append(numbered(n))
		old, safe := o.safe[n]
		switch {
		case errors.Is(err, spool.ErrFull):
			require.Equal(o.t, next, o.spool.Stats().Next)
			continue
		case err != nil:
			return err
		case fresh:
			require.Equal(o.t, next, seq)
			require.False(o.t, safe && old >= o.saved, "message %d is there, at %d, and is appended again", n, old)
			delete(o.safe, n)
		default:
			require.True(o.t, safe)
			require.Equal(o.t, old, seq)
		}
		places[n] = seq
	}
	if err := o.spool.Sync(); err != nil {
		return err
	}
	for n, seq := range places {
		o.safe[n] = seq
	}
	return nil
}
