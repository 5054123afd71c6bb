package danube_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// gauges serves the broker's metrics in memory and gives a reader of them.
func (l *lab) gauges() *danube.Gauges {
	l.Helper()
	listener := bufconn.Listen(1 << 16)
	server := &http.Server{Handler: l.broker.StatusHandler()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) }}
	l.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(l, server.Close())
		require.ErrorIs(l, <-served, http.ErrServerClosed)
	})
	g, err := danube.NewGauges("http://broker:9040", &http.Client{Transport: transport})
	require.NoError(l, err)
	return g
}

// lag reads the lag of subscription s after a tick.
func (l *lab) lag(g *danube.Gauges) danube.Gauge {
	l.Helper()
	time.Sleep(600 * time.Millisecond)
	r, err := g.Read(l.ctx)
	require.NoError(l, err)
	return r.Sum(topic, "s").Lag
}

func told(n int64) danube.Gauge { return danube.Gauge{Value: n, Told: true} }

func TestT46LagOfASubscription(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		opts   []danubetest.Option
		unread int64 // as told before the first acknowledgement
	}{
		{"friendly", nil, 20},
		{"v0.15", []danubetest.Option{danubetest.Imitate("v0.15")}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(l *lab) {
				g := l.gauges()
				require.Equal(l, danube.Gauge{}, l.lag(g), "nothing is told of what does not exist")
				l.create(topic, 2)
				k := l.consume(topic)
				p, err := l.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Partitions: 2, Reliable: true})
				require.NoError(l, err)
				for i := range 20 {
					require.NoError(l, p.SendTo(l.ctx, i%2, danube.Message{}))
				}
				require.Equal(l, told(tt.unread), l.lag(g))
				first, done := map[int]bool{}, 0
				for range 20 {
					d, err := k.Receive(l.ctx)
					require.NoError(l, err)
					if !first[d.Partition] {
						k.Ack(d)
						first[d.Partition] = true
						done++
					}
				}
				require.Equal(l, 2, done)
				require.Equal(l, told(18), l.lag(g))
				r, err := g.Read(l.ctx)
				require.NoError(l, err)
				want := []danube.SubscriptionGauges{
					{Topic: topic, Partition: 0, Subscription: "s", Lag: told(9), Blocked: told(0)},
					{Topic: topic, Partition: 1, Subscription: "s", Lag: told(9), Blocked: told(0)},
				}
				require.Empty(l, cmp.Diff(want, r.Partitions(topic, "s")))
				require.Empty(l, cmp.Diff(want, r.All()))
				require.Equal(l, time.Now(), r.At)
			}, tt.opts...)
		})
	}
}

func TestGaugesTellABlockedSubscription(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		g := l.gauges()
		l.create(topic, 0)
		k := l.consume(topic)
		p, err := l.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true})
		require.NoError(l, err)
		require.NoError(l, p.Send(l.ctx, danube.Message{}))
		_, err = k.Receive(l.ctx)
		require.NoError(l, err)
		time.Sleep(time.Minute)
		r, err := g.Read(l.ctx)
		require.NoError(l, err)
		require.Equal(l, told(1), r.Sum(topic, "s").Blocked)
		require.Equal(l, danube.Gauge{}, r.Sum(topic, "t").Blocked)
	}, danubetest.Imitate("v0.15"), danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Second, MaxRedeliveries: 1}))
}

// metrics reads what a handler answers.
func metrics(t *testing.T, handler http.HandlerFunc) (*danube.Reading, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	g, err := danube.NewGauges(server.URL, server.Client())
	require.NoError(t, err)
	return g.Read(t.Context())
}

func TestGaugesAmongOtherMetrics(t *testing.T) {
	t.Parallel()
	r, err := metrics(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/metrics" {
			http.NotFound(w, req)
			return
		}
		fmt.Fprint(w, `# HELP danube_subscription_lag_messages
# TYPE danube_subscription_lag_messages gauge
danube_subscription_lag_messages{topic="/default/a",subscription="q\"uo\\te"} 7
danube_subscription_lag_messages{subscription="s",topic="/default/a-part-10",broker="1"} 2 1700000000000
danube_subscription_lag_messages{subscription="s",topic="/default/a-part-2"} 3
danube_subscription_lag_messages{subscription="s",topic="/default/a-part-x"} 4e0
danube_subscription_lag_messages{subscription="s",topic="/default/nan"} NaN
danube_subscription_lag_messages{subscription="s",topic="/default/negative"} -1
danube_subscription_lag_messages{subscription="s",topic="/default/endless"} +Inf
danube_subscription_lag_messages{subscription="s"} 5
danube_subscription_lag_messages_total{subscription="s",topic="/default/a-part-3"} 100
danube_subscription_terminal_blocked{subscription="s",topic="/default/a-part-2"} 1
danube_other{le="what the parser would not take 1
danube_topics 5
`)
	})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]danube.SubscriptionGauges{
		{Topic: "/default/a", Partition: -1, Subscription: `q"uo\te`, Lag: told(7)},
		{Topic: "/default/a", Partition: 2, Subscription: "s", Lag: told(3), Blocked: told(1)},
		{Topic: "/default/a", Partition: 10, Subscription: "s", Lag: told(2)},
		{Topic: "/default/a-part-x", Partition: -1, Subscription: "s", Lag: told(4)},
	}, r.All()))
	require.Equal(t, danube.SubscriptionGauges{Topic: "/default/a", Partition: -1, Subscription: "s", Lag: told(5), Blocked: told(1)}, r.Sum("/default/a", "s"))
}

func TestGaugesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for text, handler := range map[string]http.HandlerFunc{
		"404 Not Found; is it the broker's Prometheus port?": http.NotFound,
		"text format parsing error": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, `danube_subscription_lag_messages{topic="/default/a} 1`)
		},
		"longer than 64 MiB": func(w http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat("x", 1023) + "\n")
			for range 65 << 10 {
				if _, err := w.Write(line); err != nil {
					return // the reader has had enough
				}
			}
		},
		"token too long": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<20)) },
		"unexpected EOF": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprintln(w, `danube_subscription_lag_messages{topic="/default/a",subscription="s"} 1`)
		},
	} {
		_, err := metrics(t, handler)
		require.ErrorContains(t, err, "read gauges: ")
		require.ErrorContains(t, err, text)
	}
	for _, bad := range []string{"localhost:9040", "ftp://a", "http://"} {
		_, err := danube.NewGauges(bad, nil)
		require.ErrorContains(t, err, "for example http://localhost:9040/metrics", bad)
	}
	g, err := danube.NewGauges("http://127.0.0.1:1/metrics", nil)
	require.NoError(t, err)
	_, err = g.Read(t.Context())
	require.ErrorContains(t, err, "connection refused")
}

func TestGaugesHaveADeadline(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		g, err := danube.NewGauges("http://broker", &http.Client{Transport: deaf{}})
		require.NoError(l, err)
		start := time.Now()
		_, err = g.Read(l.ctx)
		require.ErrorIs(l, err, context.DeadlineExceeded)
		require.Equal(l, 5*time.Second, time.Since(start))
	})
}

// deaf never answers.
type deaf struct{}

func (deaf) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}
