package danube_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

func TestALostStreamAndAPauseAreTold(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		w := l.watch(nil)
		l.broker.CutOff("c")
		lost := w.within(danube.StateLost, time.Second)
		require.Contains(l, lost.Cause, "Unavailable")
		w.stays(danube.StateLost, time.Minute)
		require.True(l, l.broker.LetIn("c"))
		open := w.within(danube.StateOpen, 10*time.Second)
		require.Zero(l, open.Life)
		require.Empty(l, open.Cause)
		w.Pause(errors.New("the target is away"))
		require.Equal(l, "the target is away", w.within(danube.StatePaused, time.Second).Cause)
		w.Resume()
		w.within(danube.StateOpen, time.Second)
		told := slices.DeleteFunc(w.told(), func(s danube.State) bool { return s == danube.StateStarting })
		require.Equal(l, []danube.State{danube.StateOpen, danube.StateLost, danube.StateOpen, danube.StatePaused}, told[:4])
		require.Equal(l, danube.StateOpen, told[len(told)-1])
	})
}

func TestAMissingTopicIsStarting(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		k, err := l.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
		require.NoError(l, err)
		w := &watched{Consumer: k, lab: l}
		l.Cleanup(k.Close)
		time.Sleep(time.Minute)
		now := w.within(danube.StateStarting, 0)
		require.Contains(l, now.Cause, "does not exist yet")
		require.Equal(l, time.Minute, time.Since(now.Since))
		l.publisher("p")
		w.within(danube.StateOpen, 10*time.Second)
	})
}

func TestARefusalIsTold(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		k, err := l.client.NewConsumer(danube.ConsumerSettings{Topic: "/nowhere/orders", Subscription: "s", Name: "c", CreateTopic: true})
		require.NoError(l, err)
		l.Cleanup(k.Close)
		l.broker.Refuse("TopicPartitions", codes.InvalidArgument, 1)
		w := &watched{Consumer: k, lab: l}
		require.Contains(l, w.within(danube.StateRefused, 20*time.Second).Cause, "refused by a test")
	})
}

func TestANewLifeIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{true, false} {
		inLab(t, func(l *lab) {
			w := l.watch(nil)
			p := l.publisher("p")
			l.publish(p, 3)
			require.Equal(l, 3, w.drain(time.Second))
			for life := 1; life < 4; life++ {
				l.broker.Restart(keep)
				soon := 20 * time.Second // the topic has to be made again
				if keep {
					soon = time.Second
				}
				for end := time.Now().Add(soon); w.States()[0].Life < life; time.Sleep(time.Millisecond) {
					require.True(l, time.Now().Before(end), "%+v", w.States())
				}
				w.within(danube.StateOpen, time.Second)
				tale := w.tale()
				require.Equal(l, life, tale[len(tale)-1].Life)
			}
		}, imitating, patient)
	}
}

func TestT29AStreamThatOnlyTheClientSeesIsOpenedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []danube.SubscriptionType{danube.Exclusive, danube.KeyShared} {
		inLabs(t, func(l *lab) {
			w := l.watch(func(s *danube.ConsumerSettings) { s.Type = kind })
			require.True(l, l.broker.CloseHealth(topic, "s", "c"))
			time.Sleep(40 * time.Second)
			w.within(danube.StateOpen, 0)
			if kind == danube.KeyShared {
				s, _ := l.broker.Subscription(topic, "s")
				require.Equal(l, []string{"c-1"}, s.Connected, "it may have been evicted")
			} else {
				require.Empty(l, l.broker.Faults(), "it has subscribed again")
			}
			require.Contains(l, w.told(), danube.StateLost)
			w.getsAgain(l.publisher("p"))
		})
	}
}
