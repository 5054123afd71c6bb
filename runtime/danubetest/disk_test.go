package danubetest_test

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

const diskFull = "disk budget is used up"

// sendTillFull publishes numbered messages of 10 KiB until one is refused and returns how many were not.
func (s *sender) sendTillFull(from int, text string) int {
	s.c.t.Helper()
	for n := 0; ; n++ {
		require.Less(s.c.t, n, 1000)
		_, err := s.c.SendMessage(s.c.ctx, s.message(numbered(from+n)))
		if err != nil {
			requireStatus(s.c.t, err, codes.ResourceExhausted, text)
			return n
		}
	}
}

func numbered(i int) string { return fmt.Sprintf("%05d", i) + strings.Repeat("x", 10<<10) }

// takes reads and acknowledges n messages, the first of which is number from.
func (r *reader) takes(from, n int) {
	r.c.t.Helper()
	for i := range n {
		m := r.next()
		require.Len(r.c.t, m.GetPayload(), len(numbered(0)))
		require.Equal(r.c.t, numbered(from + i)[:5], string(m.GetPayload()[:5]))
		r.ack(m)
	}
}

func TestDiskBudget(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	dir := t.TempDir()
	opts := []danubetest.Option{danubetest.Disk(limit), danubetest.History(1000)}
	sent := 0
	life(t, dir, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		c.subscribe(orders, "behind", "c", exclusive)
		sent = p.sendTillFull(0, diskFull)
		require.Greater(t, sent, 90, "nearly all of the budget is used")
		require.LessOrEqual(t, bytesIn(t, dir), int64(limit))
		time.Sleep(time.Minute)
		require.Zero(t, p.sendTillFull(sent, "acknowledge messages, retain them for less long, or allow it more disk"))
		other := c.producer("/default/other", "p", reliable)
		require.Zero(t, other.sendTillFull(0, diskFull), "the budget is for all topics")
		c.producer("/default/plain", "p", nonReliable).send(numbers(0, 100)...)
	}, opts...)
	life(t, dir, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		require.Zero(t, p.sendTillFull(sent, diskFull), "what the start finds counts")
		r := c.consume(orders, "behind", "c", exclusive)
		r.takes(0, sent/2)
		time.Sleep(time.Second)
		more := p.sendTillFull(sent, diskFull)
		require.InDelta(t, sent/2, more, 10, "half is free, but for the rest of a file")
		r.takes(sent/2, sent-sent/2+more)
		time.Sleep(time.Second)
		require.Greater(t, p.sendTillFull(sent+more, diskFull), 90)
		require.LessOrEqual(t, bytesIn(t, dir), int64(limit))
	}, opts...)
}

// A message without any subscription is history, and so is one that all have passed: neither stands in the way of new ones.
func TestDiskBudgetHistoryGivesWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	life(t, dir, func(t *testing.T, c *client) {
		p, q := c.producer(orders, "p", reliable), c.producer("/default/other", "q", reliable)
		for i := range 500 {
			p.send(numbered(i))
			if i < 50 {
				q.send(numbered(i))
			}
			time.Sleep(5 * time.Millisecond)
		}
		require.LessOrEqual(t, bytesIn(t, dir), int64(1<<20))
		require.Equal(t, 500, c.broker.Published(orders))
		require.Zero(t, len(c.broker.Messages("/default/other")), "its history gave way to the messages of another topic")
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbered(500))
		require.Equal(t, uint64(500), offset(r.next()))
	}, danubetest.Disk(1<<20))
	life(t, dir, func(t *testing.T, c *client) {
		r := c.consume(orders, "s", "c", exclusive)
		r.takes(500, 1)
	}, danubetest.Disk(1<<20))
}

func TestDiskBudgetAndRetention(t *testing.T) {
	t.Parallel()
	life(t, t.TempDir(), func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		sent := p.sendTillFull(0, diskFull)
		time.Sleep(50 * time.Minute)
		require.Zero(t, p.sendTillFull(sent, diskFull), "what is retained is not given up")
		time.Sleep(11 * time.Minute)
		require.Greater(t, p.sendTillFull(sent, diskFull), 80)
	}, danubetest.Disk(1<<20), danubetest.Retention(0, time.Hour))
}

func TestDiskBudgetOfADeletedTopic(t *testing.T) {
	t.Parallel()
	life(t, t.TempDir(), func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		c.subscribe(orders, "s", "c", exclusive)
		sent := p.sendTillFull(0, diskFull)
		_, err := c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: orders})
		require.NoError(t, err)
		p = c.producer("/default/other", "p", reliable)
		c.subscribe("/default/other", "s", "c", exclusive)
		require.InDelta(t, sent, p.sendTillFull(0, diskFull), 1)
	}, danubetest.Disk(1<<20))
}

func TestDiskOptions(t *testing.T) {
	t.Parallel()
	_, err := danubetest.New(danubetest.DataDir(t.TempDir()), danubetest.Disk(0))
	require.ErrorContains(t, err, "not positive")
	_, err = danubetest.New(danubetest.Disk(1 << 20))
	require.ErrorContains(t, err, "name a data directory")
}

// smallDisk is the operating system's file system, on a disk with little room. What is removed does not make any.
type smallDisk struct{ room atomic.Int64 }

func (d *smallDisk) OpenFile(name string, flag int, perm fs.FileMode) (seglog.File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return smallFile{File: f, disk: d}, nil
}

func (d *smallDisk) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (d *smallDisk) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (d *smallDisk) Remove(name string) error                     { return os.Remove(name) }
func (d *smallDisk) SyncDir(string) error                         { return nil }

type smallFile struct {
	*os.File
	disk *smallDisk
}

// WriteAt writes as much as there is room for.
func (f smallFile) WriteAt(b []byte, at int64) (int, error) {
	left := f.disk.room.Add(-int64(len(b)))
	if left >= 0 {
		return f.File.WriteAt(b, at)
	}
	f.disk.room.Store(0)
	n, err := f.File.WriteAt(b[:max(0, int64(len(b))+left)], at)
	if err != nil {
		return n, err
	}
	return n, &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
}

func TestDataDirOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := &smallDisk{}
	disk.room.Store(500 << 10)
	left, outer := "", t
	sent := 0
	life(t, dir, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		sent = p.sendTillFull(0, "no space left on device; make room on that disk")
		require.Greater(t, sent, 40)
		for range 3 {
			_, err := c.SendMessage(c.ctx, p.message("refused"))
			require.Equal(t, codes.ResourceExhausted, status.Code(err), err)
		}
		r.takes(0, sent)
		time.Sleep(time.Second) // the positions cannot be written
		left = killed(outer, dir)
		disk.room.Store(1 << 20)
		time.Sleep(time.Second)
		p.send(numbered(sent))
		r.takes(sent, 1)
	}, danubetest.Files(disk))
	life(t, dir, func(t *testing.T, c *client) {
		stats, _ := c.broker.Subscription(orders, "s")
		require.Zero(t, stats.Backlog, "they were written when there was room")
		require.Equal(t, sent+1, c.broker.Published(orders))
	})
	life(t, left, func(t *testing.T, c *client) {
		require.Equal(t, sent, c.broker.Published(orders), "what was acknowledged is there, and what was refused is not")
		r := c.consume(orders, "s", "c", exclusive)
		r.takes(0, sent) // its acknowledgements could not be written
	})
}
