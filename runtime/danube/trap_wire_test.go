package danube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// Offset 0 is a message like any other: it is acknowledged, and when a new stream repeats it the caller does not get it twice.
func TestT01OffsetZeroIsAnOffset(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w, p := l.watch(nil), l.publisher("p")
		l.publish(p, 1)
		all := w.take(time.Second)
		require.Len(l, all, 1)
		require.Zero(l, all[0].Offset)
		l.broker.DropStreams()
		require.Empty(l, w.take(10*time.Second), "it is held")
		w.Ack(all[0])
		l.publish(p, 1)
		all = w.take(time.Second)
		require.Len(l, all, 1)
		require.Equal(l, uint64(1), all[0].Offset)
		w.Ack(all[0])
		require.NoError(l, w.Flush(l.ctx))
		require.Equal(l, uint64(2), w.Stats().Confirmed)
		require.Zero(l, l.broker.Unacked(topic, "s"))
	}, imitating, patient)
}

// The broker passes on whatever offset the producer of a message that is not kept wrote into it, and nobody knows offsets before delivery.
func TestT02AProducerMakesNoOffsets(t *testing.T) {
	t.Parallel()
	for _, reliable := range []bool{true, false} {
		inLab(t, func(l *lab) {
			p, err := l.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: reliable})
			require.NoError(l, err)
			l.Cleanup(p.Close)
			require.NoError(l, p.Register(l.ctx))
			w := l.watch(nil)
			require.NoError(l, p.Send(l.ctx, danube.Message{Offset: 99}))
			all := w.take(time.Second)
			require.Len(l, all, 1)
			require.Zero(l, all[0].Offset)
		}, imitating, patient)
	}
}

// Publish times and delays are milliseconds, the registry's times are seconds, and a delay counts only beyond the policy's own.
func TestT03TimesHaveTheUnitsOfTheBroker(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		r := l.register(orderV1)
		s, err := l.schemas.Version(l.ctx, r.ID, r.Version)
		require.NoError(l, err)
		require.WithinDuration(l, time.Now(), s.CreatedAt, time.Second)

		w, p := l.watch(nil), l.publisher("p")
		at := time.UnixMilli(1_700_000_000_123)
		require.NoError(l, p.Send(l.ctx, danube.Message{PublishTime: at}))
		require.True(l, at.Equal(l.broker.Messages(topic)[0].PublishTime))
		for _, tt := range []struct{ delay, soonest, latest time.Duration }{
			{0, time.Second, 2500 * time.Millisecond}, {7 * time.Second, 7 * time.Second, 8500 * time.Millisecond}, {time.Hour, time.Minute, 62 * time.Second},
		} {
			d, err := w.Receive(l.ctx)
			require.NoError(l, err)
			require.True(l, at.Equal(d.PublishTime))
			w.Nack(d, tt.delay, "")
			require.Empty(l, w.take(tt.soonest-time.Millisecond), "after %v", tt.delay)
			again := w.take(tt.latest - tt.soonest)
			require.Len(l, again, 1, "after %v", tt.delay)
			w.Nack(again[0], 0, "")
		}
	}, imitating, patient)
}

// The zero values of the protocol are Exclusive, NonReliable and DeadLetter; those of this package are its own and are sent in full.
func TestT04ZeroValuesAreMeant(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		for kind, want := range map[danube.SubscriptionType]danubepb.ConsumerRequest_SubscriptionType{
			danube.Exclusive: danubepb.ConsumerRequest_Exclusive, danube.Shared: danubepb.ConsumerRequest_Shared,
			danube.Failover: danubepb.ConsumerRequest_Failover, danube.KeyShared: danubepb.ConsumerRequest_KeyShared,
		} {
			k, err := l.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: kind.String(), Name: "c", Type: kind, CreateTopic: true})
			require.NoError(l, err)
			l.waitFor(func() bool { return k.Health() == nil })
			s, _ := l.broker.Subscription(topic, kind.String())
			require.Equal(l, want, s.Type)
			k.Close()
		}
		about, err := l.admin.DescribeTopic(l.ctx, topic)
		require.NoError(l, err)
		require.True(l, about.Reliable, "a consumer makes reliable topics")
		p, err := l.client.NewProducer(danube.ProducerSettings{Topic: "/default/ticks", Name: "p"})
		require.NoError(l, err)
		require.NoError(l, p.Register(l.ctx))
		about, err = l.admin.DescribeTopic(l.ctx, "/default/ticks")
		require.NoError(l, err)
		require.False(l, about.Reliable)
		require.NoError(l, l.admin.SetFailurePolicy(l.ctx, topic, "t", danube.FailurePolicy{AckTimeout: time.Hour}))
		policy, _, err := l.admin.FailurePolicy(l.ctx, topic, "t")
		require.NoError(l, err)
		require.Equal(l, danube.PoisonBlock, policy.Poison)
	})
}

// Delivered messages do not say which subscription they came by, so acknowledgements name the consumer's own.
func TestT22AcknowledgementsNameTheirOwnSubscription(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		consumers := map[string]*watched{}
		for _, name := range []string{"s", "t"} {
			consumers[name] = l.watch(func(s *danube.ConsumerSettings) { s.Subscription = name })
		}
		l.publish(l.publisher("p"), 5)
		require.Equal(l, 5, consumers["s"].drain(time.Second))
		require.Zero(l, l.broker.Unacked(topic, "s"))
		require.Equal(l, 5, l.broker.Unacked(topic, "t"))
		require.Equal(l, 5, consumers["t"].drain(time.Second))
		require.Zero(l, l.broker.Unacked(topic, "t"))
	}, imitating, patient, danubetest.Window(10))
}
