package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds what /ready waits for an external system's answer.
const readyTimeout = 5 * time.Second

// operations is the HTTP port of a running connector.
type operations struct {
	registry *prometheus.Registry
	health   *Health
	server   *http.Server
	done     chan struct{}
}

// newOperations gathers metrics and health; serve opens the port.
func newOperations(connector string) *operations {
	o := &operations{registry: prometheus.NewRegistry(), health: new(Health), done: make(chan struct{})}
	o.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "health", Help: "1 unless the connector has failed for good.",
			ConstLabels: prometheus.Labels{"connector": connector},
		}, func() float64 {
			if o.health.Live() != nil {
				return 0
			}
			return 1
		}),
	)
	return o
}

// serve answers on host:port until close is called.
func (o *operations) serve(host string, port uint16) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("open the port of /metrics and /health: %w; choose another with processing.metrics_port, 0 for none", err)
	}
	o.server = &http.Server{Handler: o.handler(), ReadHeaderTimeout: readyTimeout}
	go func() {
		defer close(o.done)
		_ = o.server.Serve(listener) // ends with ErrServerClosed
	}()
	return nil
}

func (o *operations) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answer(w, o.health.Live()) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		answer(w, o.health.Ready(ctx))
	})
	return mux
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprint(w, "OK")
}

// close gives requests under way a second to end.
func (o *operations) close() error {
	if o.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := o.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = o.server.Close()
	}
	<-o.done
	return err
}
