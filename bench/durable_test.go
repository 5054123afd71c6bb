package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// BenchmarkDurable is a reliable publish that is answered once it is on disk, with n publishes in flight: a client that sends the next
// one when one is answered. Beside it are measured a loop that writes n records at once and syncs them, and the same broker in memory.
// The ratio is to the best that any broker could do with the two. Either all n wait for one sync and the processor rests meanwhile:
// then the times of disk and memory add up. Or a half is synced while the other half is on its way: then the slower one counts, and
// the disk syncs twice as often. What lies between is slower than one of the two. disk-ratio is to the disk alone, all n in each sync
// and nobody to send or answer them. All take turns, because neither disk nor machine is equally fast all the time.
func BenchmarkDurable(b *testing.B) {
	for _, inFlight := range []int{1, 16, 64, 256, 1024} {
		b.Run(fmt.Sprintf("in-flight=%d", inFlight), func(b *testing.B) {
			durable := newPublisher(b, inFlight, danubetest.Start(b, danubetest.DataDir(b.TempDir()), danubetest.History(0)))
			memory := newPublisher(b, inFlight, danubetest.Start(b, danubetest.History(0)))
			disk, err := os.Create(filepath.Join(b.TempDir(), "raw"))
			must(b, err)
			defer disk.Close()
			turn := max(1000, 40*inFlight) // so that filling and emptying the pipe counts little
			var onDisk, inMemory, raw, halves time.Duration
			for n := 0; n < b.N; n += turn {
				raw += rawSyncs(b, disk, turn, inFlight)
				inMemory += memory.publish(b, turn)
				halves += rawSyncs(b, disk, turn, max(1, inFlight/2))
				onDisk += durable.publish(b, turn)
			}
			all := float64((b.N + turn - 1) / turn * turn)
			best := raw + inMemory
			if inFlight > 1 {
				best = min(best, max(halves, inMemory))
			}
			b.ReportMetric(all/onDisk.Seconds(), "msg/s")
			b.ReportMetric(all/raw.Seconds(), "disk-msg/s")
			b.ReportMetric(all/inMemory.Seconds(), "memory-msg/s")
			b.ReportMetric(raw.Seconds()/onDisk.Seconds(), "disk-ratio")
			b.ReportMetric(best.Seconds()/onDisk.Seconds(), "ratio")
			b.ReportMetric(0, "ns/op") // it would count all of them
		})
	}
}

// rawSyncs writes n records, so many at a time, each time with a sync.
func rawSyncs(b *testing.B, f *os.File, n, atOnce int) time.Duration {
	b.Helper()
	buf := make([]byte, atOnce*(payload+100))
	start := time.Now()
	for ; n > 0; n -= atOnce {
		_, err := f.Write(buf)
		must(b, err)
		must(b, f.Sync())
	}
	return time.Since(start)
}

// BenchmarkStart is the start of a broker that has 1 GiB of unread messages, after a crash and with its first delivery.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	fillDir(b, dir)
	marks, err := filepath.Glob(filepath.Join(dir, "topics", "*", "closed"))
	must(b, err)
	for b.Loop() {
		for _, m := range marks {
			must(b, os.RemoveAll(m)) // as if it had been killed
		}
		broker := danubetest.Start(b, danubetest.DataDir(dir))
		client, err := danube.New(broker.URL())
		must(b, err)
		c, err := client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
		must(b, err)
		_, err = c.Receive(context.Background())
		must(b, err)
		b.StopTimer()
		c.Close()
		client.Close()
		broker.Close()
		b.StartTimer()
	}
}

// fillDir publishes 1 GiB to a topic with a subscription.
func fillDir(b *testing.B, dir string) {
	b.Helper()
	broker := danubetest.Start(b, danubetest.DataDir(dir), danubetest.Memory(64<<20))
	client, err := danube.New(broker.URL())
	must(b, err)
	defer client.Close()
	c, err := client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c", CreateTopic: true})
	must(b, err)
	_, _ = c.Receive(canceled()) // subscribes
	must(b, broker.WaitFor(b.Context(), func() bool { _, ok := broker.Subscription(topic, "s"); return ok }))
	c.Close()
	p, err := client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true, InFlight: 64})
	must(b, err)
	value := make([]byte, 64<<10)
	var left atomic.Int64
	left.Store(1 << 14)
	var senders sync.WaitGroup
	for range 64 {
		senders.Go(func() {
			for left.Add(-1) >= 0 {
				if err := p.Send(b.Context(), danube.Message{Payload: value}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	broker.Close()
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
