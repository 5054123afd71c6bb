package connect

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/subscription"
)

// SinkSettings say what a sink reads and how.
type SinkSettings struct {
	Settings
	Routes       []SinkRoute   // at least one
	Workers      int           // sinks that write side by side per route; 1
	BatchSize    int           // most records in one batch; 1000
	BatchBytes   int           // most bytes of values in one batch; 8 MiB
	BatchTimeout time.Duration // longest wait of a batch for more records after its first; 1 s
	CreateTopic  bool          // make a missing topic, so that nothing published later passes the subscription by
	// AckTimeout is the broker's for these subscriptions; 30 s. Records that wait longer than two thirds of it for the target are
	// given back, which uses up no delivery attempt, until the target answers.
	AckTimeout time.Duration
	OnReject   string // "dead-letter", "skip" or "stop"; "dead-letter"
	// DeadLetterTopic takes rejected records; empty means the record's topic with "-dlq" appended.
	DeadLetterTopic string
	Spool           SpoolSettings

	gauges danube.GaugeView // of BrokerMetrics, nil without it
}

// A SinkRoute maps one Danube topic to one target.
type SinkRoute struct {
	From         string                  // Danube topic
	To           string                  // what Record.To says; may be empty
	Subscription string                  // empty means the connector's name
	Type         danube.SubscriptionType // Exclusive unless said otherwise
}

// StreamSink reads every route and writes it to sinks that open makes, one for each route and worker, until ctx is done: then it
// finishes the batches in hand, acknowledges what was written and returns nil. It returns an error when something fails for good.
//
// A message is acknowledged only after Write succeeded for it or its dead letter was confirmed by the broker.
func StreamSink(ctx context.Context, s SinkSettings, open func(context.Context) (Sink, error)) error {
	if err := s.prepare(); err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	defer client.Close()
	stopGauges, err := s.watchGauges(ctx)
	if err != nil {
		return err
	}
	defer stopGauges()

	var pipelines []*sinkPipeline
	for _, r := range s.Routes {
		p, err := newSinkPipeline(&s, r, client, open)
		if err == nil {
			err = p.subscribe(client)
		}
		if err != nil {
			for _, p := range pipelines {
				err = errors.Join(err, p.close())
			}
			return err
		}
		pipelines = append(pipelines, p)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range pipelines {
		group.Go(func() error { return p.run(ctx) })
	}
	err = group.Wait()
	if err != nil {
		s.Health.fail(err)
	}
	return err
}

// prepare fills in the defaults.
func (s *SinkSettings) prepare() error {
	s.fillDefaults()
	setDefault(&s.Workers, 1)
	setDefault(&s.BatchSize, 1000)
	setDefault(&s.BatchBytes, 8<<20)
	setDefault(&s.BatchTimeout, time.Second)
	setDefault(&s.AckTimeout, 30*time.Second)
	setDefault(&s.OnReject, onRejectDeadLetter)
	setDefault(&s.Spool.Mode, SpoolOff)
	setDefault(&s.Spool.MaxBytes, 10<<30)
	if len(s.Routes) == 0 {
		return errors.New("a sink needs at least one route")
	}
	s.Routes = slices.Clone(s.Routes)
	for i := range s.Routes {
		setDefault(&s.Routes[i].Subscription, s.Name)
	}
	return nil
}

// A sinkPipeline carries one route: consumer -> queue of each worker -> batches -> Sink.Write -> acknowledgements, with a detour over
// the spool between consumer and queues when that is due; see custody.
type sinkPipeline struct {
	settings *SinkSettings
	route    SinkRoute
	consumer *subscription.Subscription // nil before subscribe
	custody  *custody
	metrics  *metrics
	workers  []*sinkWorker
	states   stateWatch
	log      *zap.Logger
}

// newSinkPipeline makes all but the consumer. The spool is opened first of all, so that a second process of the same connector ends before
// it takes the stream from the one that runs.
func newSinkPipeline(s *SinkSettings, r SinkRoute, client *danube.Client, open func(context.Context) (Sink, error)) (*sinkPipeline, error) {
	p := &sinkPipeline{settings: s, route: r, log: s.Log.With(zap.String("topic", r.From))}
	letters, err := newDeadLetters(s, r, client)
	if err != nil {
		return nil, err
	}
	if p.metrics, err = newMetrics(s.Metrics, s.Name, r.From); err != nil {
		return nil, err
	}
	letters.count = p.metrics.letters.Inc
	store, err := s.openSpool(r, p.log)
	if err != nil {
		return nil, Fatal(err)
	}
	p.custody = newCustody(store, p.log)
	p.custody.always, p.custody.stopWhenFull = s.Spool.Mode == SpoolAlways, s.Spool.StopWhenFull
	window := new(window)
	for i := range s.Workers {
		p.workers = append(p.workers, &sinkWorker{
			pipeline: p, open: open, letters: letters, metrics: p.metrics,
			log: p.log.With(zap.Int("worker", i)),
			batcher: &batcher{
				queue: queue.New[item](), size: s.BatchSize, bytes: s.BatchBytes, timeout: s.BatchTimeout,
				held: p.custody.unacknowledged, window: window, fill: s.Spool.Mode == SpoolAlways,
			},
		})
	}
	return p, nil
}

// subscribe makes the consumer. When it fails, nothing of p is left.
func (p *sinkPipeline) subscribe(client *danube.Client) error {
	s, r := p.settings, p.route
	consumer, err := subscription.Open(client, subscription.Settings{ConsumerSettings: danube.ConsumerSettings{
		Topic: r.From, Subscription: r.Subscription, Name: consumerName(s.Name, r), Type: r.Type, CreateTopic: s.CreateTopic,
		Gauges: s.gauges,
	}})
	if err != nil {
		return errors.Join(err, p.close())
	}
	p.consumer, p.custody.broker = consumer, consumer
	p.states = stateWatch{of: consumer, log: p.log}
	s.Health.Watch("broker", func(context.Context) error { return consumer.Health() })
	s.Health.Watch("target", p.targetHealth)
	s.Health.Watch("subscription", p.states.health)
	s.Health.Watch("spool", func(context.Context) error { return p.custody.problem() })
	err = errors.Join(p.metrics.watchConsumer(s.Metrics, consumer), register(s.Metrics, p.states.collectors(p.metrics.labels)...),
		register(s.Metrics, p.custody.collectors(p.metrics.labels)...))
	if err != nil {
		return errors.Join(err, p.close())
	}
	return nil
}

// consumerName is stable where the broker ties a seat or a stream to it, and unique per process where processes share.
func consumerName(connector string, r SinkRoute) string {
	name := connector + "-" + r.Subscription
	if r.Type == danube.Exclusive {
		return name
	}
	host, _ := os.Hostname()
	return fmt.Sprintf("%s-%s-%d", name, host, os.Getpid())
}

func (p *sinkPipeline) run(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.intake(groupCtx) })
	group.Go(func() error { return p.watchHolding(groupCtx) })
	group.Go(func() error {
		p.states.run(groupCtx)
		return nil
	})
	group.Go(func() error { return p.work(groupCtx) })
	err := group.Wait()

	flushCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.settings.ShutdownTimeout)
	defer cancel()
	if flushErr := p.consumer.Flush(flushCtx); flushErr != nil {
		p.log.Warn("some acknowledgements were not confirmed; their records come again", zap.Error(flushErr))
	}
	return errors.Join(err, p.close())
}

// work writes what is in the lanes and in the spool until ctx is done.
func (p *sinkPipeline) work(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	// Writes outlive a stop by the shutdown timeout, so that it does not tear a batch apart, and custody outlives the writes.
	writeCtx, cancelWrites := outlive(groupCtx, p.settings.ShutdownTimeout)
	defer cancelWrites()
	custodyCtx, endCustody := context.WithCancel(context.WithoutCancel(ctx))
	defer endCustody()
	var workers sync.WaitGroup
	for _, w := range p.workers {
		workers.Add(1)
		group.Go(func() error {
			defer workers.Done()
			return w.run(groupCtx, writeCtx)
		})
	}
	group.Go(func() error { return p.custody.run(custodyCtx, p.push) })
	group.Go(func() error {
		workers.Wait()
		endCustody()
		return nil
	})
	return errors.Join(group.Wait(), p.custody.finish(), p.closeSinks())
}

func (p *sinkPipeline) close() error {
	if p.consumer != nil {
		p.consumer.Close()
	}
	return p.custody.close()
}

func (p *sinkPipeline) closeSinks() error {
	var errs []error
	for _, w := range p.workers {
		if w.sink != nil {
			errs = append(errs, w.sink.Close())
		}
	}
	return errors.Join(errs...)
}

// intake takes each delivery and hands it on if its turn is now.
func (p *sinkPipeline) intake(ctx context.Context) error {
	for {
		d, err := p.consumer.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if m := p.custody.take(d); m != nil {
			p.push(m)
		}
	}
}

// push hands m to the worker of its lane: records of one key, or of one partition where they have none, stay in order.
func (p *sinkPipeline) push(m *message) {
	m.left = 1
	p.workers[lane(m.Partition, m.Key, len(p.workers))].batcher.queue.Push(item{record: recordOf(&m.Message, p.route.To), message: m})
}

// recordOf makes a record of a message from the broker.
func recordOf(m *danube.Message, to string) Record {
	return Record{
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Payload, Attributes: m.Attributes,
		PublishTime: m.PublishTime, Producer: m.Producer, Schema: Schema{ID: m.SchemaID, Version: m.SchemaVersion},
		To: to,
	}
}

func lane(partition int, key string, workers int) int {
	if workers == 1 {
		return 0
	}
	if key == "" {
		return (partition + 1) % workers
	}
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % uint32(workers))
}

// watchHolding closes the streams when a record waits too long for the target: while they are closed the broker counts neither an
// acknowledgement timeout nor a delivery attempt. The workers go on trying; when the target has taken all, the streams open again.
func (p *sinkPipeline) watchHolding(ctx context.Context) error {
	limit := p.settings.AckTimeout * 2 / 3
	tick := time.NewTicker(max(limit/20, time.Millisecond))
	defer tick.Stop()
	paused := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		switch oldest := p.consumer.OldestHeld(); {
		case !paused && !oldest.IsZero() && time.Since(oldest) > limit:
			paused = true
			p.log.Warn("the target has kept records waiting; the stream is closed until it answers", zap.Duration("for", time.Since(oldest)))
			p.consumer.Pause(fmt.Errorf("stream closed: the target has kept records waiting for more than %v", limit))
		case paused && oldest.IsZero():
			paused = false
			p.log.Info("the target answers; the stream is opened again")
			p.consumer.Resume()
		}
	}
}

// targetHealth is nil while the last write of every worker succeeded and the sink, if it can tell, reaches its system.
func (p *sinkPipeline) targetHealth(ctx context.Context) error {
	var errs []error
	for _, w := range p.workers {
		errs = append(errs, w.health(ctx))
	}
	return errors.Join(errs...)
}

// outlive gives a context that is done d after ctx is.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var timer *time.Timer
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(d, cancel)
	})
	return later, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		cancel()
	}
}

// topicToken is a topic as it stands in names of producers.
func topicToken(topic string) string { return strings.ReplaceAll(topic, "/", "-") }
