package seglog_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/filelock"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

func TestWhatWasWrittenIsRead(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "here")
	opts := seglog.Options{SegmentBytes: 1000}
	for life := range 5 {
		l := open(t, dir, opts)
		require.True(t, l.Report().Closed, "%s", l.Report())
		require.Equal(t, uint64(life*100), l.Report().Next)
		fill(t, l, 100)
		next, err := readAll(t, l)
		require.NoError(t, err)
		require.Equal(t, uint64(100*(life+1)), next)
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
	}
	require.Greater(t, len(segments(t, dir)), 20)

	l := open(t, dir, opts)
	for offset := range l.Next() {
		got, err := l.Read(l.Next() - 1 - offset) // backwards, so that nothing helps to find the place
		require.NoError(t, err)
		require.Equal(t, string(record(l.Next()-1-offset)), string(got))
	}
}

func TestAReaderFollowsTheWriter(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), seglog.Options{SegmentBytes: 500})
	r := l.Reader(0)
	defer r.Close()
	for offset := range uint64(100) {
		_, err := r.Next()
		require.ErrorIs(t, err, seglog.ErrOutOfRange)
		fill(t, l, 1)
		got, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, string(record(offset)), string(got))
	}
}

// Records lie far beyond what a reader asks for at once, so that places between marks are found too.
func TestRecordsLargerThanTheBuffer(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), seglog.Options{SegmentBytes: 1 << 20})
	for i := range uint64(400) {
		b := make([]byte, 1000+i*1237%100_000)
		binary.LittleEndian.PutUint64(b, i)
		ticket, err := l.Append(b)
		require.NoError(t, err)
		if i%7 == 0 {
			require.NoError(t, ticket.Wait())
		}
	}
	ticket, err := l.Append(nil)
	require.NoError(t, err)
	require.NoError(t, ticket.Wait())
	for i := range uint64(400) {
		i = i * 171 % 400
		got, err := l.Read(i)
		require.NoError(t, err)
		require.Len(t, got, int(1000+i*1237%100_000))
		require.Equal(t, i, binary.LittleEndian.Uint64(got))
	}
	_, err = l.Append(make([]byte, seglog.MaxRecord+1))
	require.ErrorIs(t, err, seglog.ErrTooLarge)
}

func TestConcurrentAppendsShareSyncs(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	gate := make(chan struct{})
	var once sync.Once
	disk.beforeIO = func() { once.Do(func() { <-gate }) }
	l := open(t, "", disk.options(0))
	const writers, each = 32, 50
	// All first appends wait together behind the gate, so at least these share one sync.
	var ready, done sync.WaitGroup
	ready.Add(writers)
	for range writers {
		done.Go(func() {
			for i := range each {
				ticket, err := l.Append([]byte{byte(i)})
				if i == 0 {
					ready.Done()
				}
				if err == nil {
					err = ticket.Wait()
				}
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := l.Read(ticket.Offset()); err != nil || len(got) != 1 || got[0] != byte(i) {
					t.Errorf("record %d after it was safe: %v, %v", ticket.Offset(), got, err)
				}
			}
		})
	}
	ready.Wait()
	close(gate)
	done.Wait()
	require.Equal(t, uint64(writers*each), l.Next())
	require.LessOrEqual(t, disk.syncs.Load(), int64(writers*(each-1)+3))
	require.NoError(t, l.Close())
	require.Equal(t, uint64(writers*each), open(t, "", disk.options(0)).Next())
}

func TestCloseWritesWhatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	for _, noSync := range []bool{false, true} {
		dir := t.TempDir()
		l := open(t, dir, seglog.Options{NoSync: noSync, SegmentBytes: 300})
		fill(t, l, 40)
		for range 10 {
			_, err := l.Append(record(l.Next()))
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
		_, err := l.Append(nil)
		require.ErrorIs(t, err, seglog.ErrClosed)
		_, err = l.Read(0)
		require.ErrorIs(t, err, seglog.ErrClosed)
		require.ErrorIs(t, l.Trim(1, seglog.Keep{}), seglog.ErrClosed)
		l = open(t, dir, seglog.Options{})
		next, err := readAll(t, l)
		require.NoError(t, err)
		require.Equal(t, uint64(50), next)
	}
}

func TestASecondOwnerIsTurnedAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, seglog.Options{})
	_, err := seglog.Open(dir, seglog.Options{})
	var held *filelock.HeldError
	require.ErrorAs(t, err, &held)
	require.NoError(t, l.Close())
	open(t, dir, seglog.Options{})
}

func TestTrimKeepsWhatIsNeededOrWanted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, seglog.Options{SegmentBytes: 1000})
	fill(t, l, 500)
	files := len(segments(t, dir))
	require.NoError(t, l.Trim(0, seglog.Keep{}))
	require.Len(t, segments(t, dir), files)

	require.NoError(t, l.Trim(300, seglog.Keep{Bytes: 1 << 20, Age: time.Hour}))
	require.Len(t, segments(t, dir), files, "both bounds want all")
	require.NoError(t, l.Trim(300, seglog.Keep{Bytes: l.Size() - 1}))
	require.Len(t, segments(t, dir), files-1)

	require.NoError(t, l.Trim(300, seglog.Keep{}))
	require.LessOrEqual(t, l.First(), uint64(300))
	require.Greater(t, l.First(), uint64(250), "all segments but the one that has record 300 are gone")
	_, err := l.Read(l.First() - 1)
	require.ErrorIs(t, err, seglog.ErrOutOfRange)

	require.NoError(t, l.Trim(l.Next(), seglog.Keep{}))
	require.Len(t, segments(t, dir), 1)
	require.NoError(t, l.Close())
	l = open(t, dir, seglog.Options{})
	require.Equal(t, uint64(500), l.Next(), "offsets go on")
	_, err = readAll(t, l)
	require.NoError(t, err)
}

func TestTrimByAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, "", newDisk().options(1000))
		var hourly []uint64 // the first record of each hour
		for range 10 {
			hourly = append(hourly, l.Next())
			fill(t, l, 100)
			time.Sleep(time.Hour)
		}
		require.NoError(t, l.Trim(l.Next(), seglog.Keep{Age: 3*time.Hour + time.Minute}))
		require.Greater(t, l.First(), hourly[5])
		require.LessOrEqual(t, l.First(), hourly[7], "the records of three hours are there")
	})
}

func TestAFolderThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := seglog.Open(file, seglog.Options{})
	require.ErrorContains(t, err, file)
}
