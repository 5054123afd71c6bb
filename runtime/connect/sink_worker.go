package connect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// A sinkWorker writes the batches of its lanes with a sink of its own.
type sinkWorker struct {
	pipeline *sinkPipeline
	open     func(context.Context) (Sink, error)
	letters  *deadLetters
	metrics  *metrics
	batcher  *batcher
	log      *zap.Logger

	mu       sync.Mutex
	sink     Sink // set once by run
	isOpen   bool
	lastErr  error // of the last open or write; nil after a success
	failures int   // in a row
}

// run writes batches until ctx is done or a failure is final. Writes run under writeCtx.
func (w *sinkWorker) run(ctx, writeCtx context.Context) error {
	if err := w.openSink(ctx, writeCtx); err != nil {
		return orNilWhenDone(ctx, err)
	}
	for {
		batch, err := w.batcher.batch(ctx)
		if err != nil {
			return nil // a stop; what was not written comes again
		}
		w.metrics.batchSize.Observe(float64(batch.len()))
		if err := w.deliver(ctx, writeCtx, batch); err != nil {
			return orNilWhenDone(ctx, err)
		}
	}
}

// orNilWhenDone hides the error that a stop caused: what was not written was not acknowledged either.
func orNilWhenDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && ClassOf(err) != ClassFatal {
		return nil
	}
	return err
}

// openSink opens the sink, as often as it takes.
func (w *sinkWorker) openSink(ctx, writeCtx context.Context) error {
	for try := 1; ; try++ {
		sink, err := w.open(writeCtx)
		if err == nil {
			w.opened(sink)
			return nil
		}
		err = fmt.Errorf("open the sink: %w", err)
		if err := w.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

// deliver writes b, retries what can be retried for ever, and settles each record once it is written or dead-lettered.
func (w *sinkWorker) deliver(ctx, writeCtx context.Context, b batch) error {
	for try := 1; ; try++ {
		err := w.write(writeCtx, b.records)
		var partial *BatchError
		switch {
		case err == nil:
			w.succeeded()
			w.settle(b)
			return nil
		case errors.As(err, &partial):
			left, fatal := w.sort(ctx, b, partial)
			if fatal != nil || left.len() == 0 {
				return fatal
			}
			if left.len() < b.len() {
				try = 1 // progress
			}
			b = left
		case ClassOf(err) == ClassRejected && b.len() == 1:
			return w.reject(ctx, b, err)
		case ClassOf(err) == ClassRejected:
			half := b.len() / 2
			if err := w.deliver(ctx, writeCtx, b.slice(0, half)); err != nil {
				return err
			}
			return w.deliver(ctx, writeCtx, b.slice(half, b.len()))
		}
		if err := w.pause(ctx, try, fmt.Errorf("write %d records: %w", b.len(), err)); err != nil {
			return err
		}
		w.metrics.retried.Inc()
	}
}

func (w *sinkWorker) write(ctx context.Context, records []Record) error {
	start := time.Now()
	err := w.sink.Write(ctx, records)
	w.batcher.lastWrite = time.Since(start)
	w.metrics.duration.Observe(w.batcher.lastWrite.Seconds())
	return err
}

// sort settles the written records of a batch, rejects the rejected ones and returns those to try again.
func (w *sinkWorker) sort(ctx context.Context, b batch, outcome *BatchError) (left batch, fatal error) {
	var written batch
	for i := range b.records {
		one := item{b.records[i], b.messages[i]}
		err := outcome.At(i)
		switch ClassOf(err) {
		case ClassNone:
			written.add(one)
		case ClassRejected:
			if err := w.reject(ctx, b.slice(i, i+1), err); err != nil {
				fatal = errors.Join(fatal, err)
			}
		case ClassRetry:
			left.add(one)
		case ClassFatal:
			fatal = errors.Join(fatal, err)
		}
	}
	w.settle(written)
	if left.len() == 0 && fatal == nil {
		w.succeeded() // rejected records are no sign of a sick target
	}
	return left, fatal
}

// reject puts the one record of b away for good; only then is it settled.
func (w *sinkWorker) reject(ctx context.Context, b batch, reason error) error {
	w.metrics.failed(ClassRejected)
	if err := w.letters.put(ctx, b.records[0], reason); err != nil {
		return err
	}
	w.succeeded()
	w.pipeline.custody.settle(b.messages)
	return nil
}

func (w *sinkWorker) settle(b batch) {
	w.pipeline.custody.settle(b.messages)
	now := time.Now()
	for i := range b.records {
		w.metrics.written(now.Sub(b.records[i].PublishTime))
	}
}

// pause waits before try number try+1. It returns err when it is final, and ctx's error when ctx is done.
func (w *sinkWorker) pause(ctx context.Context, try int, err error) error {
	class := ClassOf(err)
	w.metrics.failed(class)
	w.mu.Lock()
	w.lastErr = err
	w.failures++
	w.mu.Unlock()
	if class != ClassRetry {
		return err
	}
	w.log.Warn("the target failed; trying again", zap.Int("try", try), zap.Error(err))
	return w.pipeline.settings.retry().Wait(ctx, try)
}

func (w *sinkWorker) opened(s Sink) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sink, w.isOpen = s, true
	w.lastErr, w.failures = nil, 0
}

func (w *sinkWorker) succeeded() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failures > 0 {
		w.log.Info("the target answers again", zap.Int("failures", w.failures))
	}
	w.lastErr, w.failures = nil, 0
}

// health asks the sink itself where it can tell; a few failed writes are no news while retries are under way.
func (w *sinkWorker) health(ctx context.Context) error {
	w.mu.Lock()
	sink, isOpen, err, failures := w.sink, w.isOpen, w.lastErr, w.failures
	w.mu.Unlock()
	switch {
	case !isOpen && err == nil:
		return errors.New("not open yet")
	case !isOpen || failures > w.pipeline.settings.MaxRetries:
		return fmt.Errorf("%w (%d failures in a row)", err, failures)
	}
	if p, ok := sink.(Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}
