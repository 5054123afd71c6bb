package danube_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// steal subscribes as consumer c of subscription s once more, as a second process would, and gives what its stream brings.
func (l *lab) steal(kind danubepb.ConsumerRequest_SubscriptionType) func() (*danubepb.StreamMessage, error) {
	l.Helper()
	raw := l.raw()
	resp, err := raw.Subscribe(l.ctx, &danubepb.ConsumerRequest{TopicName: topic, Subscription: "s", ConsumerName: "c", SubscriptionType: kind})
	require.NoError(l, err)
	stream, err := raw.ReceiveMessages(l.ctx, &danubepb.ReceiveRequest{ConsumerId: resp.GetConsumerId()})
	require.NoError(l, err)
	return stream.Recv
}

// An acknowledgement of what waits to be sent again is answered with OK and ignored, so after a lost stream it goes out after the repeat.
func TestT09AcknowledgementsOfALostStreamWaitForTheRepeat(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w, p := l.watch(nil), l.publisher("p")
		l.publish(p, 5)
		all := w.take(time.Second)
		require.Len(l, all, 5)
		l.broker.DropStreams()
		synctest.Wait()
		w.within(danube.StateLost, 0)
		for _, d := range all[:3] {
			w.Ack(d)
		}
		time.Sleep(time.Second)
		w.within(danube.StateOpen, 0)
		for _, d := range all[3:] {
			w.Ack(d)
		}
		require.Empty(l, w.take(10*time.Second))
		require.Equal(l, uint64(5), w.Stats().Confirmed)
		require.Equal(l, uint64(5), w.Stats().Repeated)
		require.Zero(l, l.broker.Unacked(topic, "s"))
		l.publish(p, 1)
		require.Equal(l, 1, w.drain(time.Second), "nothing has come twice")
	}, imitating, patient)
}

// A stream that ends with OK was taken over or moved; it is opened again, by a new Subscribe. A stream alone would leave behind what was
// in flight to the other one.
func TestT13AndT49ACleanEndIsFollowedByASubscribe(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w, p := l.watch(nil), l.publisher("p")
		l.publish(p, 3)
		all := w.take(time.Second)
		require.Len(l, all, 3)
		theirs := l.steal(danubepb.ConsumerRequest_Exclusive)
		for range 3 { // the same ones, to the other process
			_, err := theirs()
			require.NoError(l, err)
		}
		time.Sleep(10 * time.Second)
		w.within(danube.StateOpen, 0)
		tale := w.tale()
		lost := tale[len(tale)-2]
		require.Equal(l, danube.StateLost, lost.State)
		require.Contains(l, lost.Cause, "the broker ended the stream")
		for _, d := range all {
			w.Ack(d)
		}
		require.NoError(l, w.Flush(l.ctx))
		synctest.Wait()
		require.Equal(l, uint64(3), w.Stats().Confirmed)
		require.Zero(l, l.broker.Unacked(topic, "s"))
		l.publish(p, 1)
		require.Equal(l, 1, w.drain(time.Second))
	}, imitating, patient)
}

// Two processes of one name take the stream from each other for ever. They do so ever more slowly, because each time counts as a delivery.
func TestT14ConsumersOfOneNameDoNotRace(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		a := l.watch(nil)
		l.publish(l.publisher("p"), 1)
		require.Len(l, a.take(time.Second), 1)
		before := l.broker.Delivered(topic, "s")
		other, err := l.anotherClient().NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
		require.NoError(l, err)
		time.Sleep(10 * time.Minute)
		deliveries := l.broker.Delivered(topic, "s") - before
		require.Greater(l, deliveries, 2, "neither gives up")
		require.Less(l, deliveries, 600, "less than one a second")
		other.Close()
		a.within(danube.StateOpen, time.Minute)
		a.stays(danube.StateOpen, time.Minute)
	}, imitating, patient)
}

// Nobody takes over from a Failover consumer or gets an Exclusive seat that is left, so a consumer comes back under the name that it had.
func TestT16AConsumerComesBackUnderItsOwnName(t *testing.T) {
	t.Parallel()
	for _, kind := range []danube.SubscriptionType{danube.Failover, danube.Exclusive} {
		inLab(t, func(l *lab) {
			w, p := l.watch(func(s *danube.ConsumerSettings) { s.Type = kind }), producerOf(l, l.anotherClient(), "p")
			standby, err := l.anotherClient().NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "standby", Type: kind})
			require.NoError(l, err)
			l.Cleanup(standby.Close)
			time.Sleep(10 * time.Second)
			l.broker.CutOff("c")
			l.publish(p, 5)
			require.Empty(l, l.within(standby, time.Minute))
			require.True(l, l.broker.LetIn("c"))
			require.Equal(l, 5, w.drain(20*time.Second))
		}, imitating, patient)
	}
}

// A consumer reads on although nobody takes what it has received, and beyond its bound too; or publishers would wait for it.
func TestT17TheStreamIsReadThoughNobodyReceives(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int64{0, 10_000} {
		inLab(t, func(l *lab) {
			w := l.watch(func(s *danube.ConsumerSettings) { s.MaxBytes = bytes })
			p := l.publisher("p")
			start := time.Now()
			for range 500 {
				require.NoError(l, p.Send(l.ctx, danube.Message{Payload: make([]byte, 1000)}))
			}
			require.Less(l, time.Since(start), time.Second, "no publish waits")
			synctest.Wait()
			require.Equal(l, bytes == 0, w.Held() == 500)
		}, imitating, patient, danubetest.Window(1000))
	}
}

// A consumer that subscribed and has no stream holds its subscription up, and then even Subscribe hangs. Its stream is opened all the same.
func TestT17AStreamThatCouldNotBeOpenedIsOpenedAtLast(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		p := producerOf(l, l.anotherClient(), "p")
		w := l.watch(func(s *danube.ConsumerSettings) { s.Type = danube.Shared })
		l.broker.Refuse("ReceiveMessages", codes.Unavailable, 3)
		other, err := l.anotherClient().NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "other", Type: danube.Shared})
		require.NoError(l, err)
		l.Cleanup(other.Close)
		time.Sleep(10 * time.Millisecond)
		sent := make(chan error, 1)
		go func() {
			var failed error
			for range 200 {
				failed = errors.Join(failed, p.Send(l.ctx, danube.Message{}))
			}
			sent <- failed
		}()
		time.Sleep(time.Second)
		require.Error(l, other.Health())
		require.Less(l, len(l.broker.Messages(topic)), 200, "publishes wait")
		go func() {
			for d, err := other.Receive(l.ctx); err == nil; d, err = other.Receive(l.ctx) {
				other.Ack(d)
			}
		}()
		require.Less(l, w.drain(time.Minute), 200, "some go to the other")
		require.NoError(l, <-sent)
		require.Zero(l, l.broker.Unacked(topic, "s"))
	}, imitating, patient)
}

// A lost stream and a takeover count as deliveries, so streams that do not live are opened ever more seldom.
func TestT41StreamsThatDieAreReopenedSeldom(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w := l.watch(nil)
		l.publish(l.publisher("p"), 1)
		require.Len(l, w.take(time.Second), 1)
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			l.broker.DropStreams()
		}
		deliveries := l.broker.Delivered(topic, "s")
		require.Greater(l, deliveries, 2)
		require.Less(l, deliveries, 60, "two minutes of streams that live for less than a tenth of a second")
	}, imitating, patient)
}

// What is acknowledged newest first by the caller does not freeze the subscription: nothing comes again although nobody publishes.
func TestT33NewestFirstDoesNotFreeze(t *testing.T) {
	t.Parallel()
	for _, kind := range []danube.SubscriptionType{danube.Exclusive, danube.Shared} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(l *lab) {
				w, p := l.watch(func(s *danube.ConsumerSettings) { s.Type = kind }), l.publisher("p")
				l.publish(p, 8)
				all := w.take(100 * time.Millisecond)
				require.Len(l, all, 8)
				for i := range all {
					w.Ack(all[7-i])
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(10 * time.Second) // longer than the ack timeout
				l.publish(p, 1)
				require.Equal(l, 1, w.drain(5*time.Second), "nothing comes again")
				require.Equal(l, uint64(9), w.Stats().Confirmed)
			}, imitating, danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Second, MaxRedeliveries: 100, Fixed: true}))
		})
	}
}

// An acknowledgement that hangs holds up the topic's other subscriptions, so it is given up after some seconds.
func TestT36AFrozenSubscriptionDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		frozen := l.watch(nil)
		other := l.watch(func(s *danube.ConsumerSettings) { s.Subscription = "t" })
		p := l.publisher("p")
		frozen.freeze(p)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
		defer cancel()
		all := other.take(time.Second)
		require.Len(l, all, 60)
		for _, d := range all {
			other.Ack(d)
		}
		require.NoError(l, other.Flush(ctx))
		require.Equal(l, uint64(60), other.Stats().Confirmed)
		require.Less(l, frozen.Stats().Confirmed, uint64(60), "it is frozen")
	}, imitating, dropping, danubetest.Window(100))
}
