package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog/seglogtest"
)

// outageSeeds is how many random runs a test makes; SEGLOG_SEEDS asks for more. A seed that fails is run again by:
// go test ./internal/seglog -run 'TestNoSafeRecordIsLostWhenTheMachineEnds/seed=N$'
func outageSeeds(t *testing.T, usual uint64) uint64 {
	text := os.Getenv("SEGLOG_SEEDS")
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err, "SEGLOG_SEEDS")
	return n
}

func TestNoSafeRecordIsLostWhenTheMachineEnds(t *testing.T) {
	t.Parallel()
	for seed := range outageSeeds(t, 1000) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			o := newOutages(t, seed)
			for range 6 {
				o.life(o.work)
			}
		})
	}
}

// Many that append at once decide by themselves who writes for whom, so here a seed does not always do the same.
func TestNoSafeRecordOfManyWritersIsLostWhenTheMachineEnds(t *testing.T) {
	t.Parallel()
	for seed := range outageSeeds(t, 200) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			o := newOutages(t, seed)
			for range 6 {
				o.life(o.crowd)
			}
		})
	}
}

const outageDir = "data/log"

// outages are the lives of one log between the ends of its machine.
type outages struct {
	t       *testing.T
	random  *rand.Rand
	machine *seglogtest.Machine
	segment int64
	lives   int

	mu      sync.Mutex
	content map[uint64][]byte // what was appended last at each offset
	safe    uint64            // records below were said to be safe
	trimmed uint64            // records below may be gone
}

func newOutages(t *testing.T, seed uint64) *outages {
	random := rand.New(rand.NewPCG(seed, 1))
	machine := seglogtest.New()
	require.NoError(t, machine.MkdirAll("data", 0o755))
	require.NoError(t, machine.SyncDir("/"))
	return &outages{t: t, random: random, machine: machine, segment: 150 + random.Int64N(500), content: make(map[uint64][]byte)}
}

// life opens the log, checks it, works with it until the machine ends, and starts the machine again.
func (o *outages) life(work func(*seglog.Log) error) {
	o.lives++
	before := o.bytesThere()
	o.machine.EndAfter(o.random.IntN(4 + 60*o.random.IntN(2))) // often during the start or soon after
	l, err := o.open()
	if err == nil {
		if next := l.Report().Next; o.bytesThere() >= 0 { // else the machine has ended
			require.Equal(o.t, before-o.bytesThere(), l.Report().Cut, "report: %s", l.Report())
			require.Equal(o.t, l.Next(), next)
		}
		err = errors.Join(o.check(l), work(l))
	}
	if err != nil {
		require.ErrorIs(o.t, err, seglogtest.ErrOff)
	}
	o.machine = o.machine.After(o.random)
}

// open opens the log as one does who knows what is safe, or as one who does not.
func (o *outages) open() (*seglog.Log, error) {
	opts := seglog.Options{FS: o.machine, Locked: true, SegmentBytes: o.segment}
	if o.random.IntN(2) == 0 {
		opts.Safe = o.safe
	}
	l, err := seglog.Open(outageDir, opts)
	if err == nil {
		o.t.Cleanup(func() { _ = l.Close() }) // the machine is off by then
	}
	return l, err
}

// bytesThere is the size of all segment files, negative when the machine is off.
func (o *outages) bytesThere() (sum int64) {
	entries, err := o.machine.ReadDir(outageDir)
	if errors.Is(err, seglogtest.ErrOff) {
		return -1
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".seg") {
			sum += info.Size()
		}
	}
	return sum
}

// check reads everything. What can be read after a start is safe from then on.
func (o *outages) check(l *seglog.Log) error {
	require.GreaterOrEqual(o.t, l.Next(), o.safe, "a safe record is gone; report: %s", l.Report())
	require.LessOrEqual(o.t, l.First(), o.trimmed, "a safe record is gone at the front; report: %s", l.Report())
	r := l.Reader(l.First())
	defer r.Close()
	for r.Offset() < l.Next() {
		offset := r.Offset()
		record, err := r.Next()
		if err != nil {
			return err
		}
		require.Equal(o.t, string(o.content[offset]), string(record), "record %d", offset)
	}
	o.safe = l.Next()
	return nil
}

// work does one thing after the other.
func (o *outages) work(l *seglog.Log) (err error) {
	for err == nil {
		switch o.random.IntN(12) {
		case 0:
			err = l.Roll()
		case 1:
			o.trimmed = max(o.trimmed, o.random.Uint64N(o.safe+1))
			err = l.Trim(o.trimmed, seglog.Keep{})
		case 2:
			if err = l.Close(); err == nil {
				o.safe = l.Next()
				l, err = o.open()
			}
		default:
			err = o.add(l, 1+o.random.IntN(6))
		}
	}
	return err
}

// add appends n records and waits for one of them.
func (o *outages) add(l *seglog.Log, n int) error {
	tickets := make([]seglog.Ticket, n)
	for i := range tickets {
		var err error
		if tickets[i], err = o.append(l); err != nil {
			return err
		}
	}
	return o.await(tickets[o.random.IntN(n)])
}

// append appends a record that is like no other, but for one that took its offset in vain when the machine ended.
func (o *outages) append(l *seglog.Log) (seglog.Ticket, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	offset := l.Next()
	record := append(bytes.Repeat([]byte{byte(offset)}, int(offset*37%120)), fmt.Sprintf("%d in life %d", offset, o.lives)...)
	t, err := l.Append(record)
	if err == nil {
		o.content[t.Offset()] = record
	}
	return t, err
}

func (o *outages) await(t seglog.Ticket) error {
	err := t.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.safe = max(o.safe, t.Offset()+1)
	}
	return err
}

// crowd lets several append at the same time.
func (o *outages) crowd(l *seglog.Log) error {
	errs := make([]error, 4)
	var writers sync.WaitGroup
	for i := range errs {
		writers.Go(func() {
			for errs[i] == nil {
				var t seglog.Ticket
				if t, errs[i] = o.append(l); errs[i] == nil {
					errs[i] = o.await(t)
				}
			}
		})
	}
	writers.Wait()
	return errors.Join(errs...)
}
