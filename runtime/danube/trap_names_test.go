package danube_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// TestT20AndT50NamesThatBeginAlike runs against a broker that compares the beginnings of names, as the real one does.
func TestT20AndT50NamesThatBeginAlike(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		letters, err := b.client.NewProducer(danube.ProducerSettings{Topic: topic + "-dlq", Name: "p", Reliable: true})
		require.NoError(b, err)
		require.NoError(b, letters.Send(b.ctx(), danube.Message{}))

		k, err := b.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
		require.NoError(b, err)
		defer k.Close()
		b.waitFor(func() bool { return errorText(k.Health()) != "subscribing to "+topic })
		require.ErrorIs(b, k.Health(), danube.ErrNoTopic, "a lookup finds the other topic, which is none of this one's partitions")

		p, err := b.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true})
		require.NoError(b, err)
		err = p.Register(b.ctx())
		require.True(b, danube.IsPermanent(err), "%v", err)
		require.ErrorIs(b, err, danube.ErrMismatch)
		require.ErrorContains(b, err, "name it so that no other name begins with it")

		// Partitioned names do not collide, and the consumer finds them beside the foreign topic.
		p, err = b.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Partitions: 2, Reliable: true})
		require.NoError(b, err)
		require.NoError(b, p.Register(b.ctx()))
		b.waitFor(func() bool { return len(k.States()) == 2 && k.Health() == nil })
		b.send(p, 0, 4)
		for range 4 {
			d, err := k.Receive(b.ctx())
			require.NoError(b, err)
			require.Equal(b, topic, d.Topic)
		}
	}, danubetest.Trap("names"))
}
