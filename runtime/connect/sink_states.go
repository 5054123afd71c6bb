package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// subscriptions is what a consumer finds out about its subscriptions.
type subscriptions interface {
	States() []danube.SubscriptionState
	Changed() <-chan struct{}
}

// A stateWatch tells people when a subscription stands still although all looks well, with the cause and the mend, and when the broker has
// begun a new life.
type stateWatch struct {
	of  subscriptions
	log *zap.Logger
}

// run logs changes until ctx is done.
func (w stateWatch) run(ctx context.Context) {
	told := make(map[int]danube.SubscriptionState)
	for {
		for _, s := range w.of.States() {
			w.tell(told[s.Partition], s)
			told[s.Partition] = s
		}
		select {
		case <-w.of.Changed():
		case <-ctx.Done():
			return
		}
	}
}

func (w stateWatch) tell(before, now danube.SubscriptionState) {
	log := w.log.With(zap.Int("partition", now.Partition), zap.Stringer("state", now.State))
	if now.Life > before.Life {
		log.Warn("the broker came back without its memory of the subscription: what it had not stored is gone, and it may never deliver new "+
			"messages up to the old position", zap.Int("life", now.Life))
	}
	if now.State == before.State {
		return
	}
	level := zapcore.InfoLevel
	if now.State.Stands() {
		level = zapcore.ErrorLevel
	}
	log.Log(level, "subscription is "+now.State.String(), zap.String("cause", now.Cause), zap.String("mend", now.Mend))
}

// health names each subscription that stands still.
func (w stateWatch) health(context.Context) error {
	var errs []error
	for _, s := range w.of.States() {
		if s.State.Stands() {
			errs = append(errs, fmt.Errorf("%s is %s since %s: %s; %s", topicOf(s), s.State, s.Since.UTC().Format(time.RFC3339), s.Cause, s.Mend))
		}
	}
	return errors.Join(errs...)
}

func topicOf(s danube.SubscriptionState) string {
	if s.Partition < 0 {
		return s.Topic
	}
	return danube.PartitionName(s.Topic, s.Partition)
}

// collectors are the figures to alert on.
func (w stateWatch) collectors(labels prometheus.Labels) []prometheus.Collector {
	count := func(name, help string, of func(danube.SubscriptionState) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, func() float64 {
			n := 0
			for _, s := range w.of.States() {
				n += of(s)
			}
			return float64(n)
		})
	}
	return []prometheus.Collector{
		count("subscriptions_standing", "Partitions whose subscription stands still and needs somebody.", func(s danube.SubscriptionState) int {
			if s.State.Stands() {
				return 1
			}
			return 0
		}),
		count("broker_lives", "Times that the broker came back without its memory of the subscription, over all partitions.",
			func(s danube.SubscriptionState) int { return s.Life }),
	}
}

// gaugesEvery is how often the broker's metrics are read: it tells all of them each time.
const gaugesEvery = 2 * time.Second

// watchGauges reads the broker's metrics for the pipelines, until stop is called.
func (s *SinkSettings) watchGauges(ctx context.Context) (stop func(), err error) {
	if s.BrokerMetrics == "" {
		return func() {}, nil
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	gauges, err := danube.NewGauges(s.BrokerMetrics, client)
	if err != nil {
		return nil, err
	}
	watch := danube.NewGaugeWatch(gauges, gaugesEvery, s.Log)
	s.gauges = watch
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		watch.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
		client.CloseIdleConnections()
	}, nil
}
