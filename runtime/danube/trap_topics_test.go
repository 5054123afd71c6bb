package danube_test

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// Subscribe makes no topic. A consumer waits for it, says so, and begins by itself.
func TestT05AConsumerWaitsForItsTopic(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		k, err := l.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
		require.NoError(l, err)
		l.Cleanup(k.Close)
		time.Sleep(10 * time.Minute)
		require.ErrorIs(l, k.Health(), danube.ErrNoTopic)
		require.ErrorContains(l, k.Health(), "start its producer, or create it")
		p := l.publisher("p")
		l.waitFor(func() bool { return k.Health() == nil })
		l.publish(p, 1)
		require.Len(l, l.within(k, time.Second), 1)
	})
}

// A new subscription begins at the newest message, so a consumer that must miss nothing makes the topic before anybody publishes.
func TestT06AConsumerThatMakesTheTopicMissesNothing(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		w, p := l.watch(nil), l.publisher("p")
		l.publish(p, 3)
		all := w.take(time.Second)
		require.Len(l, all, 3)
		require.Zero(l, all[0].Offset)
		late, err := l.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "late", Name: "c"})
		require.NoError(l, err)
		l.Cleanup(late.Close)
		l.waitFor(func() bool { return late.Health() == nil })
		l.publish(p, 1)
		got := l.within(late, time.Second)
		require.Len(l, got, 1, "what came before is not for it")
		require.Equal(l, uint64(3), got[0].Offset)
	})
}

// The broker's window may be 10 or 1 and cannot be known: neither side waits for more than there is.
func TestT07EveryWindowWorks(t *testing.T) {
	t.Parallel()
	for version, window := range map[string]int{"v0.14": 1, "v0.15": 10} {
		inLab(t, func(l *lab) {
			w, p := l.watch(nil), l.publisher("p")
			l.publish(p, 30)
			all := w.take(time.Minute)
			require.Len(l, all, window)
			for _, d := range all {
				w.Ack(d)
			}
			require.Equal(l, 30-window, w.drain(time.Second))
			require.Equal(l, uint64(30), w.Stats().Confirmed)
			require.Zero(l, w.Stats().Repeated)
		}, danubetest.Imitate(version), patient)
	}
}

// One code means that a seat is taken, for which waiting helps, and that a schema or a right is missing, for which it does not.
func TestT10PermissionDeniedMeansWhatItsTextSays(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w := l.watch(nil)
		second, err := l.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "second"})
		require.NoError(l, err)
		l.Cleanup(second.Close)
		time.Sleep(time.Minute)
		require.ErrorIs(l, second.Health(), danube.ErrSeatTaken)
		require.False(l, danube.IsPermanent(second.Health()))
		w.Close()
		require.NoError(l, l.admin.Unsubscribe(l.ctx, topic, "s"))
		l.waitFor(func() bool { return second.Health() == nil })

		l.register(orderV1)
		require.NoError(l, l.schemas.ConfigureTopic(l.ctx, topic, danube.TopicSchema{Subject: "order", Policy: danube.ValidateEnforce}))
		start := time.Now()
		requireRefused(l, l.publisher("p").Send(l.ctx, danube.Message{}), danube.ErrSchema, "schema")
		require.Zero(l, time.Since(start))
	}, imitating, patient)
}

// A missing namespace is answered as a broker that is not ready; it is given up all the same, after the time that a broker needs to boot.
func TestT11AMissingNamespaceIsGivenUp(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		p, err := l.client.NewProducer(danube.ProducerSettings{Topic: "/nowhere/orders", Name: "p", Reliable: true})
		require.NoError(l, err)
		start := time.Now()
		err = p.Send(l.ctx, danube.Message{})
		requireRefused(l, err, danube.ErrNoNamespace, "Unable to find the namespace")
		require.Greater(l, time.Since(start), time.Second, "it may be about to be made")
		require.Less(l, time.Since(start), 10*time.Second)
	}, imitating)
}

// To receive needs a right on the cluster, and partitions need rights of their own. The error names what is missing.
func TestT23TheMissingBindingIsNamed(t *testing.T) {
	t.Parallel()
	all := []danubetest.Permission{danubetest.Lookup, danubetest.Produce, danubetest.Consume}
	auth := danubetest.Auth{Secret: []byte("secret"), Bindings: []danubetest.Binding{
		{Principal: "topic", Permissions: all, Topic: topic},
		{Principal: "topic", Permissions: all, Topic: "/default/logs"},
		{Principal: "both", Permissions: all, Topic: topic},
		{Principal: "both", Permissions: []danubetest.Permission{danubetest.Consume}, Cluster: true},
	}}
	b := danubetest.Start(t, danubetest.Secure(auth), imitating)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(b.RootCA()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := func(principal string) *danube.Client {
		c, err := danube.New(b.URL(), danube.WithRootCAs(roots), danube.WithTokenValue(auth.Token(principal, time.Hour)))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	receive := func(principal string) error {
		k, err := client(principal).NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: principal, Name: "c", CreateTopic: true})
		require.NoError(t, err)
		defer k.Close()
		if principal == "both" {
			require.Eventually(t, func() bool { return k.Health() == nil }, 20*time.Second, time.Millisecond)
			return nil
		}
		_, err = k.Receive(ctx)
		return err
	}
	require.NoError(t, receive("both"))
	err := receive("topic")
	requireRefused(t, err, danube.ErrDenied, "no binding grants Consume on Cluster")
	require.ErrorContains(t, err, "bind Consume on the cluster")

	p, err := client("topic").NewProducer(danube.ProducerSettings{Topic: "/default/logs", Name: "p", Partitions: 2, Reliable: true})
	require.NoError(t, err)
	err = p.Register(ctx)
	requireRefused(t, err, danube.ErrDenied, "/default/logs-part-0")
	require.ErrorContains(t, err, "for partitions on the namespace")
}
