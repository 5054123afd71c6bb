package seglog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// BenchmarkAppend is safe appends of 1 KiB by many at once, against a loop that writes as many bytes and syncs them: what the disk
// allows when all wait for one sync. The two take turns, because disks are not equally fast all the time.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			l := open(b, b.TempDir(), seglog.Options{})
			disk, err := os.Create(filepath.Join(b.TempDir(), "raw"))
			require.NoError(b, err)
			defer disk.Close()
			var raw, log time.Duration
			turn := max(2000, 40*writers) // so that the first and the last syncs, which not all share, count little
			for n := 0; n < b.N; n += turn {
				raw += rawSyncs(b, disk, turn, writers)
				log += appends(b, l, turn, writers)
			}
			all := float64((b.N + turn - 1) / turn * turn)
			b.ReportMetric(all/log.Seconds(), "records/s")
			b.ReportMetric(all/raw.Seconds(), "disk-records/s")
			b.ReportMetric(raw.Seconds()/log.Seconds(), "ratio")
			b.ReportMetric(0, "ns/op") // it would count both
		})
	}
}

// appends lets writers append n records together.
func appends(b *testing.B, l *seglog.Log, n, writers int) time.Duration {
	value := make([]byte, 1024)
	var left atomic.Int64
	left.Store(int64(n))
	var done sync.WaitGroup
	start := time.Now()
	for range writers {
		done.Go(func() {
			for left.Add(-1) >= 0 {
				ticket, err := l.Append(value)
				if err == nil {
					err = ticket.Wait()
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	return time.Since(start)
}

// rawSyncs writes n records, so many at a time, each time with a sync.
func rawSyncs(b *testing.B, f *os.File, n, atOnce int) time.Duration {
	b.Helper()
	buf := make([]byte, atOnce*(1024+20))
	start := time.Now()
	for ; n > 0; n -= atOnce {
		_, err := f.Write(buf)
		require.NoError(b, err)
		require.NoError(b, f.Sync())
	}
	return time.Since(start)
}

// BenchmarkOpen is the start with 1 GiB of records, after a crash.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	l := open(b, dir, seglog.Options{NoSync: true})
	value := make([]byte, 1024)
	for i := range 1 << 20 {
		ticket, err := l.Append(value)
		require.NoError(b, err)
		if i%1000 == 0 {
			require.NoError(b, ticket.Wait())
		}
	}
	require.NoError(b, l.Close())
	for b.Loop() {
		_ = os.Remove(filepath.Join(dir, "closed"))
		l, err := seglog.Open(dir, seglog.Options{})
		require.NoError(b, err)
		_, err = l.Read(1 << 19)
		require.NoError(b, err)
		require.NoError(b, l.Close())
	}
}
