package connect

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// told is a consumer that finds out what the test says.
type told struct {
	changed chan struct{}

	mu     sync.Mutex
	states []danube.SubscriptionState
}

func (s *told) Changed() <-chan struct{} { return s.changed }

func (s *told) States() []danube.SubscriptionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states
}

func (s *told) set(states ...danube.SubscriptionState) {
	s.mu.Lock()
	s.states = states
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	synctest.Wait()
}

func TestWhatStandsStillIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		source := &told{changed: make(chan struct{}, 1)}
		w := stateWatch{of: source, log: zap.New(core)}
		reg := prometheus.NewRegistry()
		require.NoError(t, register(reg, w.collectors(prometheus.Labels{"connector": "c"})...))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.run(ctx)

		healthy := danube.SubscriptionState{Topic: "/a/b", Partition: 0, State: danube.StateOpen}
		source.set(healthy, danube.SubscriptionState{Topic: "/a/b", Partition: 1, State: danube.StateOpen})
		require.NoError(t, w.health(ctx))
		require.Len(t, logs.TakeAll(), 2)

		source.set(healthy, danube.SubscriptionState{
			Topic: "/a/b", Partition: 1, State: danube.StateBlocked, Since: time.Unix(0, 0), Cause: "a message was delivered too often",
			Mend: "unsubscribe and subscribe", Life: 1,
		})
		all := logs.TakeAll()
		require.Len(t, all, 2)
		require.Contains(t, all[0].Message, "the broker came back without its memory")
		require.Equal(t, zapcore.ErrorLevel, all[1].Level)
		require.Equal(t, "subscription is blocked", all[1].Message)
		require.Equal(t, "unsubscribe and subscribe", all[1].ContextMap()["mend"])
		require.EqualError(t, w.health(ctx),
			"/a/b-part-1 is blocked since 1970-01-01T00:00:00Z: a message was delivered too often; unsubscribe and subscribe")
		n, err := testutil.GatherAndCount(reg, "danube_connector_subscriptions_standing", "danube_connector_broker_lives")
		require.NoError(t, err)
		require.Equal(t, 2, n)
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			require.InDelta(t, 1, f.GetMetric()[0].GetGauge().GetValue(), 0, f.GetName())
		}

		source.set(healthy, danube.SubscriptionState{Topic: "/a/b", Partition: 1, State: danube.StateOpen, Life: 1})
		all = logs.TakeAll()
		require.Len(t, all, 1)
		require.Equal(t, zapcore.InfoLevel, all[0].Level)
		require.NoError(t, w.health(ctx))
		source.set(source.States()...)
		require.Empty(t, logs.TakeAll(), "nothing is told twice")
	})
}

// The gauges of the broker are read while a sink runs, and a broker that lost its memory is told.
func TestANewLifeOfTheBrokerIsTold(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, s.broker.ServeStatus(l))
	sink := &scripted{}
	s.sink(func(settings *SinkSettings) { settings.BrokerMetrics = s.broker.StatusURL() },
		opening(sink))
	s.until("ready", func() bool { return s.health.Ready(s.Context()) == nil })
	s.broker.Restart(false)
	s.until("a new life", func() bool { return lives(t, s.registry) == 1 })
	require.NoError(t, s.producer.Send(s.Context(), danube.Message{Payload: []byte("after")}))
	s.until("written", func() bool { return len(sink.values()) == 1 })
}

func lives(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "danube_connector_broker_lives" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}
