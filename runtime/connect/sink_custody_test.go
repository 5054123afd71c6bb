package connect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// A custodyBench is a custody between a broker that notes what is acknowledged and lanes that keep what they get.
type custodyBench struct {
	*custody
	t     *testing.T
	store *spool.Spool
	sent  uint64

	mu    sync.Mutex
	acked []uint64   // offsets
	dirty int        // acknowledgements of messages that were in no spool while one was not clean
	lanes []*message // in order
}

func inCustody(t *testing.T, test func(b *custodyBench)) {
	t.Helper()
	inCustodyOn(t, spool.Options{NoSync: true}, func(b *custodyBench) error {
		test(b)
		return nil
	})
}

// inCustodyOn is inCustody with a spool on some disk; test gives the error that is to end it.
func inCustodyOn(t *testing.T, o spool.Options, test func(b *custodyBench) error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Dir, o.MaxBytes = t.TempDir(), 64<<20
		store, err := spool.Open(o)
		require.NoError(t, err)
		b := &custodyBench{t: t, store: store}
		b.custody = newCustody(store, zap.NewNop())
		b.broker = b
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.run(ctx, b.push) }()
		want := test(b)
		cancel()
		require.ErrorIs(t, <-done, want)
		require.NoError(t, b.finish())
		if err := b.close(); want == nil {
			require.NoError(t, err)
		}
	})
}

// Ack makes the bench a broker.
func (b *custodyBench) Ack(d danube.Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked = append(b.acked, d.Offset)
	if _, ok := b.store.Find(&d.Message); !ok && !b.store.Clean() {
		b.dirty++
	}
}

func (b *custodyBench) push(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.left = 1
	b.lanes = append(b.lanes, m)
}

// arrive takes n messages from the broker.
func (b *custodyBench) arrive(n int) {
	for range n {
		d := danube.Delivery{Message: danube.Message{Topic: ordersTopic, Offset: b.sent, Payload: fmt.Append(nil, b.sent)}}
		b.sent++
		if m := b.take(d); m != nil {
			b.push(m)
		}
	}
}

// write settles the message at offset.
func (b *custodyBench) write(offset uint64) {
	b.t.Helper()
	b.mu.Lock()
	var found *message
	for _, m := range b.lanes {
		if m.Offset == offset {
			found = m
		}
	}
	b.mu.Unlock()
	require.NotNil(b.t, found, "message %d is in no lane", offset)
	b.settle([]*message{found})
}

func (b *custodyBench) acknowledged() []uint64 {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]uint64{}, b.acked...)
}

func (b *custodyBench) inLanes() (offsets []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.lanes {
		offsets = append(offsets, m.Offset)
	}
	return offsets
}

func TestAMessageThatIsWrittenAtOnceTouchesNoDisk(t *testing.T) {
	t.Parallel()
	inCustody(t, func(b *custodyBench) {
		b.rule.most = 10 // learned
		b.arrive(3)
		for offset := range uint64(3) {
			b.write(offset)
		}
		require.Equal(t, []uint64{0, 1, 2}, b.acknowledged())
		require.Zero(t, b.store.Stats().Next)
	})
}

// Were the newer message acknowledged, a crash now would write the older one after it and never the newer one again.
func TestAWrittenMessageWaitsForOlderOnesInTheSpool(t *testing.T) {
	t.Parallel()
	inCustody(t, func(b *custodyBench) {
		b.rule.most = 10
		b.arrive(1)
		time.Sleep(2 * quiet)
		require.Equal(t, []uint64{0}, b.acknowledged(), "spooled, since nothing more came")
		b.arrive(1)
		b.write(1)
		require.Equal(t, []uint64{0}, b.acknowledged())
		b.write(0)
		require.Equal(t, []uint64{0, 1}, b.acknowledged())
		require.Zero(t, b.dirty)
		require.Equal(t, uint64(1), b.store.Stats().Next, "the second was in no spool")
	})
}

func TestAFullWindowIsSpooledAtOnce(t *testing.T) {
	t.Parallel()
	inCustody(t, func(b *custodyBench) {
		b.rule.most = 10
		b.arrive(9)
		require.Empty(t, b.acknowledged(), "the broker has room for one more")
		b.arrive(1)
		start := time.Now()
		require.Len(t, b.acknowledged(), 10)
		require.Zero(t, time.Since(start))
	})
}

// A broker that came back may have a smaller window.
func TestANewLifeBeginsWithoutAWindow(t *testing.T) {
	t.Parallel()
	inCustody(t, func(b *custodyBench) {
		b.rule.most = 10
		b.life = 1 // what arrives is of life 0
		b.arrive(1)
		require.Len(t, b.acknowledged(), 1)
	})
}

// A stream that goes on, held below what the broker has allowed before, is no reason to spool; a message that waits long is.
func TestALongWaitIsSpooledThoughTheWindowHasRoom(t *testing.T) {
	t.Parallel()
	inCustody(t, func(b *custodyBench) {
		b.rule.most = 1000
		b.arrive(1)
		for range 900 {
			time.Sleep(time.Millisecond)
			b.arrive(1)
			b.write(b.sent - 1)
		}
		require.NotContains(t, b.acknowledged(), uint64(0))
		for range 200 {
			time.Sleep(time.Millisecond)
			b.arrive(1)
			b.write(b.sent - 1)
		}
		require.Contains(t, b.acknowledged(), uint64(0))
	})
}

func TestLanesGetWhatOnlyTheSpoolHasInOrder(t *testing.T) {
	t.Parallel()
	inCustody(t, func(b *custodyBench) {
		b.custody.room = 5 * messageOverhead
		b.arrive(20)
		require.Len(t, b.acknowledged(), 20)
		require.Less(t, len(b.inLanes()), 8, "memory is bounded")
		for offset := range uint64(20) {
			synctest.Wait()
			b.write(offset)
		}
		synctest.Wait()
		b.arrive(1)
		b.write(20)
		want := make([]uint64, 21)
		for i := range want {
			want[i] = uint64(i)
		}
		require.Equal(t, want, b.inLanes(), "each once")
		time.Sleep(2 * saveEvery)
		require.True(t, b.store.Clean())
		require.Zero(t, b.custody.buffered)
	})
}

// A message that the broker delivers again to a new process is acknowledged and not written again, whether it is settled or not.
func TestWhatTheSpoolKnowsIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	inCustody(t, func(b *custodyBench) {
		b.arrive(2)
		require.Len(t, b.acknowledged(), 2)
		b.write(0)
		b.sent = 0
		b.arrive(3)
		require.Equal(t, []uint64{0, 1, 0, 1, 2}, b.acknowledged())
		require.Equal(t, []uint64{0, 1, 2}, b.inLanes())
	})
}

// A sickDisk fails every sync of a file with err, once there is one.
type sickDisk struct {
	seglog.FS
	err *atomic.Pointer[error]
}

type sickFile struct {
	seglog.File
	err *atomic.Pointer[error]
}

func (d sickDisk) OpenFile(name string, flag int, perm fs.FileMode) (seglog.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	return sickFile{f, d.err}, err
}

func (f sickFile) Sync() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return f.File.Sync()
}

func (f sickFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.err.Load(); err != nil && errors.Is(*err, syscall.ENOSPC) {
		return 0, *err
	}
	return f.File.WriteAt(b, at)
}

// What could not be synced may be on the disk, so nothing is acknowledged any more, written or not.
func TestADiskThatFailsEndsTheRoute(t *testing.T) {
	t.Parallel()
	var sick atomic.Pointer[error]
	inCustodyOn(t, spool.Options{FS: sickDisk{seglog.OS, &sick}}, func(b *custodyBench) error {
		broken := error(syscall.EIO)
		sick.Store(&broken)
		b.arrive(3)
		require.Empty(b.t, b.acknowledged())
		b.write(0)
		time.Sleep(time.Minute)
		require.Empty(b.t, b.acknowledged())
		return syscall.EIO
	})
}

func TestAFullDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	var sick atomic.Pointer[error]
	inCustodyOn(t, spool.Options{FS: sickDisk{seglog.OS, &sick}}, func(b *custodyBench) error {
		full := error(syscall.ENOSPC)
		sick.Store(&full)
		b.arrive(3)
		require.Empty(b.t, b.acknowledged())
		b.write(1)
		time.Sleep(time.Minute)
		require.ErrorIs(b.t, b.problem(), full)
		require.Empty(b.t, b.acknowledged())
		sick.Store(nil)
		time.Sleep(2 * spoolRetry)
		require.NoError(b.t, b.problem())
		require.Len(b.t, b.acknowledged(), 3)
		return nil
	})
}
