package connecttest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

func (b *sourceBench) delivery() {
	b.produce(100)
	r := b.start(nil)
	b.published()
	b.produce(100) // while it runs
	messages := b.published()
	r.stop()
	if n := b.expectOrderAndIDs(messages); n > 0 {
		b.Errorf("%d records were published twice though nothing failed", n)
	}
}

func (b *sourceBench) restart() {
	for range 4 {
		b.produce(25)
		r := b.start(nil)
		b.published()
		r.stop()
	}
	if n := b.expectOrderAndIDs(b.published()); n > 0 {
		b.Errorf("%d records were published twice: a stop stores the position of all that was published, and Open must go on after it", n)
	}
}

// crashBeforeStore lets the process die when records are confirmed and their position is not yet on disk.
func (b *sourceBench) crashBeforeStore() {
	b.shutdown = time.Millisecond
	b.produce(30)
	r := b.start(nil)
	b.published()
	<-b.positions.saved
	r.stop()
	for range 3 {
		b.produce(20)
		b.positions.breakDisk(true)
		r := b.start(nil)
		b.published()
		r.stop()
		b.positions.breakDisk(false)
	}
	b.produce(5)
	r = b.start(nil)
	messages := b.published()
	r.stop()
	if b.expectOrderAndIDs(messages) == 0 {
		b.Errorf("nothing came again after the crashes: records must be replayed from the stored position")
	}
}

func (b *sourceBench) crashBeforeFirst() {
	b.shutdown = time.Millisecond
	b.produce(30)
	b.positions.breakDisk(true)
	r := b.start(nil)
	b.published()
	r.stop()
	b.positions.breakDisk(false)
	b.produce(5)
	r = b.start(nil)
	messages := b.published()
	r.stop()
	if n := b.expectOrderAndIDs(messages); n != 30 {
		b.Errorf("%d of the 30 records before the first position came again", n)
	}
}

func (b *sourceBench) brokerRefuses() {
	b.broker.Refuse("CreateProducer", codes.Unavailable, 2)
	b.broker.Refuse("SendMessage", codes.Unavailable, 3)
	b.produce(50)
	r := b.start(nil)
	b.published()
	b.broker.Restart(true)
	b.produce(50)
	messages := b.published()
	r.stop()
	b.expectOrderAndIDs(messages)
}

func (b *sourceBench) shutdownInMidBatch() {
	b.produce(200)
	r := b.start(nil)
	b.publishedUntil(1)
	r.stop() // most likely with a batch half published
	b.produce(10)
	r = b.start(nil)
	messages := b.published()
	r.stop()
	if n := b.expectOrderAndIDs(messages); n > 0 {
		b.Errorf("%d records were published twice: a stop finishes the batch in hand and stores its position", n)
	}
}

// A watcher is a source whose Commits a case looks at.
type watcher struct {
	connect.Source
	commit func(position connect.Position)
}

func (w *watcher) Commit(ctx context.Context, position connect.Position) error {
	w.commit(position)
	return w.Source.Commit(ctx, position)
}

func (b *sourceBench) commit() {
	b.produce(120)
	var ahead atomic.Int32
	var mu sync.Mutex
	read := make(map[string]int) // records up to each position
	var source *countingSource
	r := b.start(func(s connect.Source) connect.Source {
		source = &countingSource{watcher: watcher{Source: s}}
		source.read = func(position connect.Position, total int) {
			mu.Lock()
			defer mu.Unlock()
			read[string(position)] = total
		}
		source.commit = func(position connect.Position) {
			mu.Lock()
			defer mu.Unlock()
			if b.broker.Published(sourceTopic) < read[string(position)] {
				ahead.Add(1)
			}
			source.committed = string(position)
		}
		return source
	})
	b.published()
	r.stop()
	if ahead.Load() > 0 {
		b.Errorf("%d positions were committed before their records were on the topic", ahead.Load())
	}
	if read[source.committed] != b.produced {
		b.Errorf("the last committed position stands for %d of %d records", read[source.committed], b.produced)
	}
}

// A countingSource tells how many records it read up to each position.
type countingSource struct {
	watcher
	read      func(position connect.Position, total int)
	total     int
	committed string
}

func (c *countingSource) Read(ctx context.Context) (connect.Batch, error) {
	batch, err := c.watcher.Read(ctx)
	if err == nil {
		c.total += len(batch.Records)
		c.read(batch.Position, c.total)
	}
	return batch, err
}
