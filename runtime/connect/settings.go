package connect

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
)

// Settings are what every pipeline needs. Zero values mean the defaults that each comment gives.
type Settings struct {
	ServiceURL string          // URL of a Danube broker, such as http://localhost:6650; required
	Name       string          // the connector's name in metrics, producers and consumers; required
	Client     []danube.Option // changes to the Danube client, such as a dialer
	// BrokerMetrics is the URL of the broker's Prometheus endpoint; with it more is known of a subscription that stands still. Empty
	// where it cannot be reached.
	BrokerMetrics string

	RetryBase  time.Duration // wait before the first retry, doubling, with jitter; 1 s
	RetryMax   time.Duration // longest wait between two tries; 30 s
	MaxRetries int           // failed tries in a row after which Health reports it; 0 means after the first

	ShutdownTimeout time.Duration // how long a stop waits for the batch in hand; 20 s

	Log     *zap.Logger           // nil says nothing
	Metrics prometheus.Registerer // nil keeps the metrics to itself
	Health  *Health               // nil keeps the health to itself
}

func (s *Settings) fillDefaults() {
	setDefault(&s.RetryBase, time.Second)
	setDefault(&s.RetryMax, 30*time.Second)
	setDefault(&s.ShutdownTimeout, 20*time.Second)
	if s.Log == nil {
		s.Log = zap.NewNop()
	}
	if s.Metrics == nil {
		s.Metrics = prometheus.NewRegistry()
	}
	if s.Health == nil {
		s.Health = new(Health)
	}
}

func (s *Settings) retry() backoff.Policy { return backoff.Policy{Base: s.RetryBase, Max: s.RetryMax} }

func (s *Settings) client() (*danube.Client, error) {
	return danube.New(s.ServiceURL, append([]danube.Option{danube.WithLogger(s.Log)}, s.Client...)...)
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
