package danube_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// roomForOne makes a consumer hold one message at a time.
func roomForOne(s *danube.ConsumerSettings) { s.MaxBytes = 1 }

// What was given back takes room when it comes again, like everything else.
func TestWhatComesAgainAfterNackIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		k, p := b.consumerWith(roomForOne), b.producer(0)
		b.send(p, 0, 1)
		k.Nack(b.receive(k, 0, 1)[0], 3*time.Second, "later")
		b.send(p, 1, 2)
		second := b.receive(k, 1, 1)
		require.Empty(t, b.within(k, 10*time.Second), "there is no room")
		require.Equal(t, 1, k.Held())
		b.ackEach(k, second)
		b.ackEach(k, b.receive(k, 0, 1))
		s, _ := b.broker.Subscription(topic, "s")
		require.Zero(t, s.Backlog)
	})
}

// What the caller holds of a life that is over still takes its memory.
func TestWhatIsHeldOfAnEarlierLifeIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		k, p := b.consumerWith(roomForOne), b.producer(0)
		b.send(p, 0, 1)
		before := b.receive(k, 0, 1)
		for range 5 {
			b.broker.Restart(true)
			require.Empty(t, b.within(k, 10*time.Second), "there is no room")
			require.NoError(t, k.Health())
			require.Equal(t, 1, k.Held())
		}
		k.Ack(before[0]) // comes too late to count, and makes room
		b.ackEach(k, b.receive(k, 0, 1))
		synctest.Wait()
		s, _ := b.broker.Subscription(topic, "s")
		require.Zero(t, s.Backlog)
		require.Zero(t, k.Held())
	})
}

// The room that one partition frees lets another go on, also when no acknowledgement of the first was answered since.
func TestRoomIsSharedByPartitions(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		p := b.producer(2)
		k := b.consumerWith(func(s *danube.ConsumerSettings) { s.CreateTopic, s.MaxBytes = false, 3000 })
		send := func(partition int, text string) {
			require.NoError(t, p.SendTo(b.ctx(), partition, danube.Message{Payload: append(make([]byte, 900), text...)}))
			synctest.Wait() // partitions are delivered side by side
		}
		send(0, "a")
		send(0, "b")
		send(1, "c")
		send(1, "d")
		synctest.Wait()
		require.Equal(t, 3, k.Held(), "one of them has no room")
		held := b.within(k, time.Second)
		b.broker.ForgetConsumer(topic+"-part-0", "s", "c")
		b.broker.ForgetConsumer(topic+"-part-1", "s", "c")
		time.Sleep(10 * time.Second)
		require.Equal(t, 3, k.Held())
		for _, d := range held { // of a life that is over: nothing is answered
			k.Ack(d)
		}
		got := b.within(k, time.Minute)
		require.Len(t, got, 3)
		b.ackEach(k, got)
		b.ackEach(k, b.within(k, time.Minute))
		for _, at := range []string{topic + "-part-0", topic + "-part-1"} {
			s, _ := b.broker.Subscription(at, "s")
			require.Zero(t, s.Backlog)
		}
	}, danubetest.Window(10))
}
