package danube_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// TestNothingGrows publishes and consumes on real ports while streams are dropped, ids forgotten and the broker restarted all the time, for
// as long as SOAK says, 4 s by default. Memory, goroutines and descriptors must be in the second half what they are in the first.
func TestNothingGrows(t *testing.T) {
	length := 4 * time.Second
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		length, err = time.ParseDuration(text)
		require.NoError(t, err, "SOAK")
	}
	b := newBench(t, danubetest.History(0), danubetest.Window(100))
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	p := b.producer(0)
	k := b.consumerWith(func(s *danube.ConsumerSettings) { s.MaxBytes = 50_000 }) // full now and then
	var sent, acked atomic.Int64
	var all sync.WaitGroup
	all.Go(func() { publishUntil(ctx, p, &sent) })
	all.Go(func() { acknowledgeUntil(ctx, k, &acked) })
	all.Go(func() { b.disturbUntil(ctx) })
	samples := sampleUntil(ctx, length/40)
	all.Wait()

	half := len(samples) / 2
	first, second := meanOf(samples[len(samples)/10:half]), meanOf(samples[half:])
	t.Logf("%d sent, %d acknowledged, %+v", sent.Load(), acked.Load(), k.Stats())
	t.Logf("first half %v, second half %v", first, second)
	require.Positive(t, sent.Load())
	require.Positive(t, acked.Load())
	require.Less(t, second.heap, first.heap*1.3+1<<20, "heap in bytes")
	require.Less(t, second.goroutines, first.goroutines*1.3+10)
	require.Less(t, second.descriptors, first.descriptors*1.3+5)
}

func publishUntil(ctx context.Context, p *danube.Producer, sent *atomic.Int64) {
	for n := 0; ctx.Err() == nil; n++ {
		m := danube.Message{Key: fmt.Sprint(n % 10), Payload: make([]byte, 1000)}
		if p.Send(ctx, m) == nil {
			sent.Add(1)
		}
	}
}

func acknowledgeUntil(ctx context.Context, k *danube.Consumer, acked *atomic.Int64) {
	for n := 0; ; n++ {
		d, err := k.Receive(ctx)
		if err != nil {
			return
		}
		if n%1000 == 999 {
			k.Nack(d, 0, "a test wants it again")
			continue
		}
		k.Ack(d)
		acked.Add(1)
	}
}

// disturbUntil lets something go wrong ten times a second.
func (b *bench) disturbUntil(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		switch n % 8 {
		case 0, 4:
			b.broker.DropStreams()
		case 2:
			b.broker.ForgetProducer(topic, "p")
		case 6:
			b.broker.Restart(n%16 == 6)
		}
	}
}

// A sample is what the process has in use.
type sample struct{ heap, goroutines, descriptors float64 }

func (s sample) String() string {
	return fmt.Sprintf("%.2f MiB of heap, %.1f goroutines, %.1f descriptors", s.heap/(1<<20), s.goroutines, s.descriptors)
}

func sampleUntil(ctx context.Context, every time.Duration) (samples []sample) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return samples
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		open, _ := os.ReadDir("/proc/self/fd") // elsewhere than on Linux there is none, and nothing is compared
		samples = append(samples, sample{heap: float64(m.HeapAlloc), goroutines: float64(runtime.NumGoroutine()), descriptors: float64(len(open))})
	}
}

func meanOf(all []sample) (mean sample) {
	n := float64(len(all))
	for _, s := range all {
		mean.heap += s.heap / n
		mean.goroutines += s.goroutines / n
		mean.descriptors += s.descriptors / n
	}
	return mean
}
