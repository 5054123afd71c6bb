package spool_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// BenchmarkGroup is ten messages of 1 KiB appended and synced at once, and as many settled, beside a file to which as much is written
// and synced. The two take turns, because disks are not equally fast all the time.
func BenchmarkGroup(b *testing.B) {
	const group = 10
	s := open(b, spool.Options{Dir: b.TempDir()})
	disk, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	require.NoError(b, err)
	defer disk.Close()
	m, buf := message(0, 1024), make([]byte, group*1150)
	var raw, spooled time.Duration
	for b.Loop() {
		start := time.Now()
		_, err := disk.Write(buf)
		require.NoError(b, err)
		require.NoError(b, disk.Sync())
		middle := time.Now()
		appendGroup(b, s, m, group)
		raw, spooled = raw+middle.Sub(start), spooled+time.Since(middle)
	}
	report(b, group, raw, spooled, "disk")
}

// appendGroup appends group messages that follow m, and syncs them.
func appendGroup(b *testing.B, s *spool.Spool, m *danube.Message, group int) {
	for range group {
		m.Offset++
		seq, _, err := s.Append(m)
		require.NoError(b, err)
		s.Done(seq) // no benchmark dies in between
	}
	require.NoError(b, s.Sync())
}

// report gives the rates of both and what the spool reaches of the other.
func report(b *testing.B, group int, raw, spooled time.Duration, name string) {
	all := float64(b.N * group)
	b.ReportMetric(all/spooled.Seconds(), "messages/s")
	b.ReportMetric(all/raw.Seconds(), name+"-messages/s")
	b.ReportMetric(raw.Seconds()/spooled.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op") // it would count both
}

// BenchmarkWindow is a thousand messages of 1 KiB at once beside the bare log.
func BenchmarkWindow(b *testing.B) {
	const group = 1000
	s := open(b, spool.Options{Dir: b.TempDir()})
	l, err := seglog.Open(b.TempDir(), seglog.Options{})
	require.NoError(b, err)
	defer l.Close()
	m, record := message(0, 1024), make([]byte, 1100)
	var bare, spooled time.Duration
	for b.Loop() {
		start := time.Now()
		var last seglog.Ticket
		for range group {
			last, err = l.Append(record)
			require.NoError(b, err)
		}
		require.NoError(b, last.Wait())
		middle := time.Now()
		appendGroup(b, s, m, group)
		bare, spooled = bare+middle.Sub(start), spooled+time.Since(middle)
	}
	report(b, group, bare, spooled, "log")
}

// BenchmarkAppend is what an Append costs without its sync.
func BenchmarkAppend(b *testing.B) {
	s := open(b, spool.Options{Dir: b.TempDir(), NoSync: true})
	m := message(0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		m.Offset++
		seq, _, err := s.Append(m)
		if err != nil {
			b.Fatal(err)
		}
		s.Done(seq) // none dies in between
		if seq%1000 == 999 {
			require.NoError(b, s.Sync())
		}
		if seq%100_000 == 99_999 {
			require.NoError(b, s.Save())
		}
	}
}

// BenchmarkNext is what reading a message costs.
func BenchmarkNext(b *testing.B) {
	const n = 20_000
	s := open(b, spool.Options{Dir: b.TempDir(), NoSync: true})
	add(b, s, 0, n, 1024)
	r := s.Reader(0)
	defer func() { require.NoError(b, r.Close()) }()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%n == 0 {
			require.NoError(b, r.Close())
			r = s.Reader(0)
		}
		if _, _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is a start with 500,000 messages, after a crash.
func BenchmarkOpen(b *testing.B) {
	o := spool.Options{Dir: b.TempDir(), MaxBytes: roomy, NoSync: true}
	s := open(b, o)
	for n := range 500 {
		add(b, s, n*1000, n*1000+1000, 1024)
	}
	s.Die()
	for b.Loop() {
		_ = os.Remove(filepath.Join(o.Dir, "messages", "closed")) // there is none after the first time
		s, err := spool.Open(o)
		require.NoError(b, err)
		s.Die()
	}
}
