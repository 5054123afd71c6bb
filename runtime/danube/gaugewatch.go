package danube

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// A GaugeWatch reads gauges again and again for consumers to look at. It is a [GaugeView]; one serves all consumers of a broker.
type GaugeWatch struct {
	gauges *Gauges
	every  time.Duration
	log    *zap.Logger

	mu   sync.Mutex
	last *Reading // nil while there is none
}

// NewGaugeWatch makes a watch that reads every so often, which must be positive and should not be less than a second: the broker writes its
// gauges every 500 ms and tells all of them at each reading. log is told of readings that fail; nil for none.
func NewGaugeWatch(g *Gauges, every time.Duration, log *zap.Logger) *GaugeWatch {
	if log == nil {
		log = zap.NewNop()
	}
	return &GaugeWatch{gauges: g, every: every, log: log}
}

// Run reads until ctx is done.
func (w *GaugeWatch) Run(ctx context.Context) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		r, err := w.gauges.Read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.Warn("subscriptions are judged without gauges", zap.Error(err))
		default:
			w.mu.Lock()
			w.last = r
			w.mu.Unlock()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Gauges gives what was told last.
func (w *GaugeWatch) Gauges(topic, subscription string) GaugeReading {
	w.mu.Lock()
	r := w.last
	w.mu.Unlock()
	if r == nil {
		return GaugeReading{}
	}
	base, partition := splitPartition(topic)
	found := GaugeReading{}
	others := false
	first, _ := slices.BinarySearchFunc(r.all, base, func(s SubscriptionGauges, topic string) int { return strings.Compare(s.Topic, topic) })
	for _, s := range r.all[first:] {
		if s.Topic != base {
			break
		}
		switch {
		case s.Partition != partition:
		case s.Subscription != subscription:
			others = true
		case s.Lag.Told:
			found = GaugeReading{At: r.At, Lag: s.Lag.Value, Blocked: s.Blocked.Value, BlockedTold: s.Blocked.Told}
		}
	}
	found.Sole = !found.At.IsZero() && !others
	return found
}
