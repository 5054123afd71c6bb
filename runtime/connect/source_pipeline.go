package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// SourceSettings say where a source's records go and where its position is kept.
type SourceSettings struct {
	Settings
	Topic      string // where records without a topic of their own go
	Partitions int    // of every topic that is written; 0 is a plain topic
	Reliable   bool   // the dispatch strategy of every topic that is written
	// Positions keeps the newest position whose records are all confirmed. Required.
	Positions PositionStore
	// ReadRetry is the wait before Read is called again after it failed; 100 ms.
	ReadRetry time.Duration
}

// A PositionStore keeps one position. The runtime calls its methods one at a time.
type PositionStore interface {
	// Load gives the stored position, nil when there is none.
	Load() ([]byte, error)
	// Save stores position durably before it returns nil.
	Save(position []byte) error
}

// StreamSource reads the source that open makes and publishes its records, until ctx is done or Read returns io.EOF: then it
// finishes the batch in hand, stores its position and returns nil. It returns an error when something fails for good.
//
// The position of a batch is stored, and Commit called, only after the broker has confirmed every record up to it. Records of one
// topic (partition) are published in order, one at a time.
func StreamSource(ctx context.Context, s SourceSettings, open func(context.Context, Position) (Source, error)) error {
	s.fillDefaults()
	setDefault(&s.ReadRetry, 100*time.Millisecond)
	if s.Positions == nil {
		return errors.New("a source needs a position store")
	}
	from, err := s.Positions.Load()
	if err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	defer client.Close()
	metrics, err := newMetrics(s.Metrics, s.Name, s.Topic)
	if err != nil {
		return err
	}
	p := &sourcePipeline{settings: &s, client: client, metrics: metrics, producers: make(map[string]*danube.Producer)}
	s.Health.Watch("broker", func(context.Context) error { return p.brokerHealth() })
	s.Health.Watch("source", p.sourceHealth)
	err = p.run(ctx, from, open)
	if err != nil {
		s.Health.fail(err)
	}
	return err
}

// A sourcePipeline carries a source: Read -> publish -> confirmation -> position stored -> Commit.
type sourcePipeline struct {
	settings *SourceSettings
	client   *danube.Client
	metrics  *metrics

	mu        sync.Mutex
	producers map[string]*danube.Producer // by topic
	source    Source                      // set once by run
	lastErr   error                       // of the last open, Read or Commit; nil after a success
}

func (p *sourcePipeline) run(ctx context.Context, from Position, open func(context.Context, Position) (Source, error)) error {
	source, err := p.open(ctx, from, open)
	if err != nil {
		return orNilWhenDone(ctx, err)
	}

	batches := make(chan Batch) // the next batch is read while one is published
	confirmed := newLatest()
	group, groupCtx := errgroup.WithContext(ctx)
	// Publishing and storing outlive a stop by the shutdown timeout, so that it does not repeat a batch at the next start.
	workCtx, cancel := outlive(groupCtx, p.settings.ShutdownTimeout)
	defer cancel()
	group.Go(func() error { return orNilWhenDone(groupCtx, p.registerTopic(groupCtx)) })
	group.Go(func() error {
		defer close(batches)
		return p.read(groupCtx, source, batches)
	})
	group.Go(func() error {
		defer confirmed.close()
		return p.publish(workCtx, groupCtx, batches, confirmed)
	})
	group.Go(func() error { return p.commit(workCtx, source, confirmed) })
	return errors.Join(group.Wait(), source.Close())
}

// registerTopic makes the main topic at once, so that sinks find it before the first record.
func (p *sourcePipeline) registerTopic(ctx context.Context) error {
	if p.settings.Topic == "" {
		return nil
	}
	producer, err := p.producer(p.settings.Topic)
	if err != nil {
		return Fatal(err)
	}
	err = producer.Register(ctx)
	if danube.IsPermanent(err) {
		return Fatal(err)
	}
	return err
}

func (p *sourcePipeline) open(ctx context.Context, from Position, open func(context.Context, Position) (Source, error)) (Source, error) {
	for try := 1; ; try++ {
		source, err := open(ctx, from)
		if err == nil {
			p.mu.Lock()
			p.source, p.lastErr = source, nil
			p.mu.Unlock()
			return source, nil
		}
		err = fmt.Errorf("open the source: %w", err)
		if err := p.failed(err); err != nil {
			return nil, err
		}
		p.settings.Log.Warn("the source cannot be opened; trying again", zap.Int("try", try), zap.Error(err))
		if err := p.settings.retry().Wait(ctx, try); err != nil {
			return nil, err
		}
	}
}

// read passes on what the source reads until ctx is done or the source ends.
func (p *sourcePipeline) read(ctx context.Context, source Source, out chan<- Batch) error {
	for try := 1; ; {
		batch, err := source.Read(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF):
			return nil
		case err != nil:
			if err := p.failed(fmt.Errorf("read: %w", err)); err != nil {
				return err
			}
			p.settings.Log.Warn("reading failed; trying again", zap.Int("try", try), zap.Error(err))
			if err := p.readRetry(ctx, try); err != nil {
				return nil
			}
			try++
			continue
		case len(batch.Records) == 0:
			return Fatal(errors.New("read returned no record and no error; a source must wait for one"))
		}
		try = 1
		p.setErr(nil)
		select {
		case out <- batch:
		case <-ctx.Done():
			return nil // not published, so not committed: it is read again
		}
	}
}

func (p *sourcePipeline) readRetry(ctx context.Context, try int) error {
	policy := p.settings.retry()
	policy.Base = min(p.settings.ReadRetry, policy.Max)
	return policy.Wait(ctx, try)
}

// publish sends batch after batch and hands on the position of each once all its records are confirmed.
func (p *sourcePipeline) publish(workCtx, ctx context.Context, batches <-chan Batch, confirmed *latest) error {
	for batch := range batches {
		p.metrics.batchSize.Observe(float64(len(batch.Records)))
		if err := p.publishBatch(workCtx, batch); err != nil {
			return orNilWhenDone(ctx, err)
		}
		confirmed.set(batch.Position)
	}
	return nil
}

// publishBatch returns nil once the broker has confirmed every record. Records of one partition go one after another; partitions
// go side by side.
func (p *sourcePipeline) publishBatch(ctx context.Context, batch Batch) error {
	lanes, err := p.lanes(batch.Records)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range lanes {
		group.Go(func() error { return p.publishLane(ctx, l) })
	}
	return group.Wait()
}

// A sourceLane is what one batch holds for one partition, in order.
type sourceLane struct {
	producer  *danube.Producer
	partition int
	records   []Record
}

func (p *sourcePipeline) lanes(records []Record) ([]*sourceLane, error) {
	type place struct {
		topic     string
		partition int
	}
	var lanes []*sourceLane
	byPlace := make(map[place]*sourceLane)
	for _, r := range records {
		setDefault(&r.Topic, p.settings.Topic)
		producer, err := p.producer(r.Topic)
		if err != nil {
			return nil, Fatal(fmt.Errorf("record %s: %w", r.EventID(), err))
		}
		at := place{r.Topic, producer.Partition(r.Key)}
		if byPlace[at] == nil {
			byPlace[at] = &sourceLane{producer: producer, partition: at.partition}
			lanes = append(lanes, byPlace[at])
		}
		byPlace[at].records = append(byPlace[at].records, r)
	}
	return lanes, nil
}

func (p *sourcePipeline) publishLane(ctx context.Context, l *sourceLane) error {
	for _, r := range l.records {
		start := time.Now()
		err := l.producer.SendTo(ctx, l.partition, danube.Message{
			Key: r.Key, Payload: r.Value, Attributes: r.Attributes, PublishTime: r.PublishTime,
			SchemaID: r.Schema.ID, SchemaVersion: r.Schema.Version,
		})
		if danube.IsPermanent(err) {
			p.metrics.failed(ClassFatal)
			return Fatal(fmt.Errorf("record %s is refused, and nothing after it may pass: %w", r.EventID(), err))
		}
		if err != nil {
			return err
		}
		p.metrics.processed.Inc()
		p.metrics.duration.Observe(time.Since(start).Seconds())
	}
	return nil
}

func (p *sourcePipeline) producer(topic string) (*danube.Producer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.producers[topic]; have != nil {
		return have, nil
	}
	made, err := p.client.NewProducer(danube.ProducerSettings{
		Topic: topic, Name: p.settings.Name + "-" + topicToken(topic), Partitions: p.settings.Partitions, Reliable: p.settings.Reliable,
	})
	if err != nil {
		return nil, err
	}
	p.producers[topic] = made
	return made, nil
}

// commit stores positions as fast as the disk takes them, always the newest, and tells the source.
func (p *sourcePipeline) commit(ctx context.Context, source Source, confirmed *latest) error {
	for {
		position, ok := confirmed.wait()
		if !ok {
			return nil
		}
		for try := 1; ; try++ {
			err := p.settings.Positions.Save(position)
			if err == nil {
				break
			}
			p.setErr(err)
			p.settings.Log.Error("the position was not stored; trying again", zap.Int("try", try), zap.Error(err))
			if err := p.settings.retry().Wait(ctx, try); err != nil {
				return nil // a stop: the records after the stored position are published again under the same event ids
			}
		}
		if err := source.Commit(ctx, position); err != nil {
			if err := p.failed(fmt.Errorf("commit: %w", err)); err != nil {
				return err
			}
			p.settings.Log.Warn("commit failed; the next one repeats it", zap.Error(err))
		}
	}
}

// failed notes err and returns it when it is final.
func (p *sourcePipeline) failed(err error) error {
	p.setErr(err)
	class := ClassOf(err)
	p.metrics.failed(class)
	if class == ClassRetry {
		return nil
	}
	return err
}

func (p *sourcePipeline) setErr(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastErr = err
}

func (p *sourcePipeline) brokerHealth() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, producer := range p.producers {
		errs = append(errs, producer.Health())
	}
	return errors.Join(errs...)
}

func (p *sourcePipeline) sourceHealth(ctx context.Context) error {
	p.mu.Lock()
	source, err := p.source, p.lastErr
	p.mu.Unlock()
	switch {
	case err != nil:
		return err
	case source == nil:
		return errors.New("not open yet")
	}
	if pinger, ok := source.(Pinger); ok {
		return pinger.Ping(ctx)
	}
	return nil
}
