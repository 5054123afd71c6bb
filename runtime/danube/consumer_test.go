package danube_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func (b *bench) consumerWith(change func(*danube.ConsumerSettings)) *danube.Consumer {
	b.Helper()
	s := danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c", CreateTopic: true}
	change(&s)
	k, err := b.client.NewConsumer(s)
	require.NoError(b, err)
	b.Cleanup(k.Close)
	b.waitFor(func() bool { return k.Health() == nil })
	return k
}

// Messages beyond the bound are dropped and come again, in order, once there is room; what the caller holds is never more than the bound.
func TestWhatIsHeldIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		const size = 1000
		k := b.consumerWith(func(s *danube.ConsumerSettings) { s.MaxBytes = 10 * (size + 600) })
		p := b.producer(0)
		for i := range 200 {
			require.NoError(t, p.Send(b.ctx(), danube.Message{Payload: fmt.Appendf(make([]byte, 0, size), "%0*d", size, i)}))
		}
		next := 0
		for next < 200 {
			held := b.within(k, 3*time.Second)
			s, _ := b.broker.Subscription(topic, "s")
			require.NotEmpty(t, held, "%d %+v %+v %v", next, k.Stats(), s, k.Health())
			require.LessOrEqual(t, k.Held(), 10)
			for _, d := range held {
				require.Equal(t, fmt.Sprintf("%0*d", size, next), string(d.Payload))
				next++
				k.Ack(d)
			}
		}
		require.Empty(t, b.within(k, time.Minute), "nothing comes twice")
		s, _ := b.broker.Subscription(topic, "s")
		require.Zero(t, s.Backlog)
	}, danubetest.Window(100))
}

func TestAMessageLargerThanTheBoundIsTaken(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		k := b.consumerWith(func(s *danube.ConsumerSettings) { s.MaxBytes = 10 })
		p := b.producer(0)
		b.send(p, 0, 3)
		for i := range 3 {
			b.ackEach(k, b.receive(k, i, 1))
		}
	})
}

func (b *bench) ackEach(k *danube.Consumer, all []danube.Delivery) {
	for _, d := range all {
		k.Ack(d)
	}
	require.NoError(b, k.Flush(b.ctx()))
}

func TestNackBringsAMessageAgain(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		b.send(p, 0, 4)
		all := b.receive(k, 0, 4)
		start := time.Now()
		k.Nack(all[1], 5*time.Second, "later")
		k.Ack(all[3]) // the newest: has to wait for the one given back
		k.Ack(all[0])
		k.Ack(all[2])
		again := b.receive(k, 1, 1)
		require.GreaterOrEqual(t, time.Since(start), 5*time.Second)
		require.Less(t, time.Since(start), 7*time.Second)
		require.Equal(t, uint64(3-1), k.Stats().Confirmed)
		b.ackEach(k, again)
		synctest.Wait()
		require.Equal(t, uint64(4), k.Stats().Confirmed)
		require.Empty(t, b.within(k, 2*time.Minute), "nothing comes twice")
	})
}

// The broker's poison policy drops a message that was given back too often; what waited for it must go on.
func TestAMessageThatNeverComesAgainHoldsNothingUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		b.send(p, 0, 2)
		all := b.receive(k, 0, 2)
		k.Nack(all[0], 0, "never")
		k.Ack(all[1])
		require.Empty(t, b.within(k, 20*time.Second))
		require.Zero(t, k.Stats().Confirmed)
		require.Empty(t, b.within(k, time.Minute))
		require.Equal(t, uint64(1), k.Stats().Confirmed)
		s, _ := b.broker.Subscription(topic, "s")
		require.Zero(t, s.Backlog)
	}, danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Hour, Poison: danubetest.Drop}))
}

// A Key-Shared consumer that was away for long is dead to the real broker under its old name.
func TestT15AnEvictedConsumerComesBackUnderAnotherName(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		k := b.consumerWith(func(s *danube.ConsumerSettings) { s.Type = danube.KeyShared })
		p := b.producer(0)
		b.send(p, 0, 1)
		b.ackEach(k, b.receive(k, 0, 1))
		k.Pause(fmt.Errorf("away"))
		time.Sleep(10 * time.Second)
		k.Resume()
		b.waitFor(func() bool { return k.Health() == nil })
		b.send(p, 1, 2)
		b.ackEach(k, b.receive(k, 1, 1))
	}, danubetest.Imitate("v0.15"))
}

// Streams that end again and again in silence would fill the command queue of the real broker, and Subscribe would hang.
func TestT48ReconnectsInSilenceLeaveRoomInTheQueue(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		p := b.producer(0)
		b.send(p, 0, 5) // the topic holds messages that the subscription never sees: its dispatcher waits in the read
		k := b.consumer()
		for range 26 {
			time.Sleep(time.Second)
			b.broker.DropStreams()
		}
		time.Sleep(time.Minute)
		require.NoError(t, k.Health(), "Subscribe does not hang")
		for range 1000 {
			time.Sleep(time.Second)
			b.broker.DropStreams()
		}
		b.send(p, 5, 6)                   // which mends it, where it does
		got := b.within(k, 3*time.Minute) // the longest pause between two streams
		require.Equal(t, []string{"5"}, payloads(got))
		b.ackEach(k, got)
	}, danubetest.Imitate("v0.15"))
}

// A topic that could not be made is nobody's task any more once the consumer is closed; a bubble does not end before its goroutines.
func TestAClosedConsumerMakesNoTopic(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		b.broker.Refuse("CreateProducer", codes.Unavailable, 100)
		k, err := b.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c", CreateTopic: true})
		require.NoError(b, err)
		b.waitFor(func() bool { return k.Health() != nil })
		time.Sleep(2 * time.Second)
		k.Close()
	})
}
