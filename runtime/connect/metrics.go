package connect

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/subscription"
)

// metrics are the figures of one route. Names are those of the Rust connectors; the topic label is the real topic, and what they
// exposed as summaries are histograms, whose _sum and _count are the same.
type metrics struct {
	processed prometheus.Counter
	retried   prometheus.Counter
	letters   prometheus.Counter
	failures  *prometheus.CounterVec
	duration  prometheus.Histogram
	batchSize prometheus.Histogram
	endToEnd  prometheus.Histogram

	labels prometheus.Labels
}

const namespace = "danube_connector"

func newMetrics(reg prometheus.Registerer, connector, topic string) (*metrics, error) {
	labels := prometheus.Labels{"connector": connector, "topic": topic}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels, Buckets: buckets})
	}
	seconds := prometheus.ExponentialBuckets(0.0001, 4, 10)
	m := &metrics{
		labels:    labels,
		processed: counter("messages_processed_total", "Records written by a sink, or published by a source."),
		retried:   counter("messages_retried_total", "Batches tried again."),
		letters:   counter("dead_letters_total", "Records that could never be written."),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "messages_failed_total", Help: "Failures by what followed from them.", ConstLabels: labels,
		}, []string{"error_type"}),
		duration:  histogram("processing_duration_seconds", "Time of one write, or of one publish until it was confirmed.", seconds),
		batchSize: histogram("batch_size", "Records in a batch.", prometheus.ExponentialBuckets(1, 4, 8)),
		endToEnd:  histogram("e2e_seconds", "From the publish time to the end of the write.", prometheus.ExponentialBuckets(0.001, 4, 10)),
	}
	for _, class := range []Class{ClassRejected, ClassRetry, ClassFatal} {
		m.failures.WithLabelValues(class.String()) // a series that is there from the start can be alerted on
	}
	return m, register(reg, m.processed, m.retried, m.letters, m.failures, m.duration, m.batchSize, m.endToEnd)
}

// register fails when a pipeline of the same connector and topic has registered before.
func register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// watchConsumer adds what the consumer counts itself.
func (m *metrics) watchConsumer(reg prometheus.Registerer, c subscription.Consumer) error {
	counter := func(name, help string, get func(danube.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: m.labels},
			func() float64 { return float64(get(c.Stats())) })
	}
	return register(reg,
		counter("messages_received_total", "Messages from the broker, repeated ones included.", func(s danube.Stats) uint64 { return s.Received }),
		counter("messages_repeated_total", "Messages that came again while they were in hand.", func(s danube.Stats) uint64 { return s.Repeated }),
		counter("acks_confirmed_total", "Acknowledgements that the broker confirmed.", func(s danube.Stats) uint64 { return s.Confirmed }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "inflight_messages", Help: "Messages received and not yet written.", ConstLabels: m.labels,
		}, func() float64 { return float64(c.Held()) }),
	)
}

func (m *metrics) failed(c Class) { m.failures.WithLabelValues(c.String()).Inc() }

// written notes a record that was written so long after it was published.
func (m *metrics) written(after time.Duration) {
	m.processed.Inc()
	m.endToEnd.Observe(after.Seconds())
}
