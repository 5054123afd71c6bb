package danube_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// freeze brings the subscription to wait in its read: the newest message is dropped by the poison policy while older ones are unacknowledged.
func (w *watched) freeze(p *danube.Producer) {
	w.lab.Helper()
	const n = 60
	w.lab.publish(p, n)
	all := w.take(time.Second)
	require.Len(w.lab, all, n)
	w.Nack(all[n-1], 0, "never")
	synctest.Wait()
	for _, d := range all[:n-1] {
		w.Ack(d)
	}
}

var dropping = danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Hour, Poison: danubetest.Drop})

func TestT33AFreezeIsToldAndEndsWithTheNextPublish(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		gauges, shared bool
		want           danube.State
	}{
		{true, false, danube.StateFrozen}, {false, false, danube.StateStalled}, {true, true, danube.StateStalled},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			t.Parallel()
			inLab(t, func(l *lab) {
				with := func(s *danube.ConsumerSettings) {}
				if tt.gauges {
					with = l.withGauges(2 * time.Second)
				}
				w := l.watch(func(s *danube.ConsumerSettings) {
					with(s)
					if tt.shared {
						s.Type = danube.Shared
					}
				})
				p := producerOf(l, l.anotherClient(), "p")
				w.freeze(p)
				w.stays(danube.StateOpen, 34*time.Second)
				got := w.within(tt.want, 10*time.Second)
				require.Contains(l, got.Cause, "acknowledgements hang since")
				require.Contains(l, got.Mend, "publish any message")
				w.stays(tt.want, time.Minute)
				l.publish(p, 1)
				w.within(danube.StateOpen, 10*time.Second)
				w.drain(10 * time.Second)
				w.stays(danube.StateOpen, 5*time.Minute)
			}, imitating, dropping, danubetest.Window(100))
		})
	}
}

func TestT17AConsumerThatDoesNotReadIsTold(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w := l.watch(func(s *danube.ConsumerSettings) { s.Type = danube.Shared })
		p := l.publisher("p")
		read := l.idler("s", danubepb.ConsumerRequest_Shared)
		sent := make(chan int)
		ctx, cancel := context.WithCancel(l.ctx)
		go func() {
			n := 0
			for ; ctx.Err() == nil; n++ {
				if p.Send(ctx, danube.Message{}) != nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			sent <- n
		}()
		w.drain(20 * time.Second)
		got := w.within(danube.StateStalled, 70*time.Second)
		require.Contains(l, got.Cause, "does not read")
		require.Contains(l, got.Mend, "read its stream")
		read()
		w.within(danube.StateOpen, 30*time.Second)
		cancel()
		require.Less(l, 40, <-sent)
	}, imitating, patient)
}

func TestT08ABlockedSubscriptionIsTold(t *testing.T) {
	t.Parallel()
	for _, gauges := range []bool{true, false} {
		for _, kind := range []danube.SubscriptionType{danube.Exclusive, danube.Shared} {
			t.Run(fmt.Sprint(gauges, kind), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(l *lab) {
					with := func(s *danube.ConsumerSettings) {}
					if gauges {
						with = l.withGauges(2 * time.Second)
					}
					w := l.watch(func(s *danube.ConsumerSettings) {
						with(s)
						s.Type, s.Alone = kind, true
					})
					p := l.publisher("p")
					l.publish(p, 1)
					held := w.take(30 * time.Second)
					require.Len(l, held, 1)
					w.Ack(held[0]) // which the broker ignores
					l.publish(p, 3)
					if !gauges {
						w.stays(danube.StateOpen, 70*time.Second)
						got := w.within(danube.StateStalled, 10*time.Second)
						require.Contains(l, got.Cause, "blocked by the poison policy")
						require.Contains(l, got.Mend, "gauges")
					} else {
						got := w.within(danube.StateBlocked, 20*time.Second)
						require.Contains(l, got.Cause, "1 messages were delivered too often")
						require.Contains(l, got.Mend, "Unsubscribe")
						w.stays(danube.StateBlocked, 5*time.Minute)
					}
					w.anew()
					l.publish(p, 3)
					require.Equal(l, 3, w.drain(time.Second))
					w.stays(danube.StateOpen, 5*time.Minute)
				}, imitating, danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Second, MaxRedeliveries: 1, Fixed: true}))
			})
		}
	}
}

// resumed brings the subscription into its second life, resumed from a cursor, with nothing left of the first.
func (w *watched) resumed(p *danube.Producer) {
	w.lab.Helper()
	time.Sleep(11 * time.Second)
	w.lab.publish(p, 1)
	require.Equal(w.lab, 1, w.drain(time.Second))
	time.Sleep(6 * time.Second)
	w.lab.broker.Restart(true)
	time.Sleep(10 * time.Second)
	require.Equal(w.lab, 1, w.within(danube.StateOpen, 0).Life)
}

func TestT37ADeadReaderIsTold(t *testing.T) {
	t.Parallel()
	kills := map[string]func(*lab, *watched, *danube.Producer){
		"backlog": func(l *lab, w *watched, p *danube.Producer) {
			w.Pause(errors.New("away"))
			time.Sleep(time.Second)
			l.publish(p, 1300)
			w.Resume()
			require.Equal(l, 1300, w.drain(5*time.Second))
		},
		"overlap": func(l *lab, w *watched, p *danube.Producer) {
			read := l.idler("blocked", danubepb.ConsumerRequest_Exclusive) // publishers come to wait for it, and to overlap
			ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
			defer cancel()
			q := producerOf(l, l.anotherClient(), "q")
			go func() {
				time.Sleep(30 * time.Second)
				_ = q.Send(ctx, danube.Message{}) // while the other waits
			}()
			for p.Send(ctx, danube.Message{}) == nil {
			}
			read()
			w.drain(5 * time.Second)
		},
	}
	for name, kill := range kills {
		for _, gauges := range []bool{true, false} {
			t.Run(fmt.Sprint(name, gauges), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(l *lab) {
					with := func(s *danube.ConsumerSettings) {}
					if gauges {
						with = l.withGauges(2 * time.Second)
					}
					w, p := l.watch(with), l.publisher("p")
					w.resumed(p)
					l.publish(p, 2)
					require.Equal(l, 1, w.drain(time.Second), "the first is below the old mark")
					kill(l, w, p)
					l.publish(p, 5)
					w.stays(danube.StateOpen, 60*time.Second)
					if gauges {
						got := w.within(danube.StateDead, 30*time.Second)
						require.Contains(l, got.Cause, "reader of the subscription has ended")
						require.Contains(l, got.Mend, "Unsubscribe")
					} else {
						require.Contains(l, w.within(danube.StateStalled, 30*time.Second).Cause, "its reader dead")
					}
					w.anew()
					l.publish(p, 3)
					require.Equal(l, 3, w.drain(time.Second))
					w.stays(danube.StateOpen, 5*time.Minute)
				}, imitating, patient, danubetest.OverlapKill(1), danubetest.Window(1000))
			})
		}
	}
}

func TestT37ADeadReaderIsToldByTheGaugesOfWhatOthersPublish(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w, p := l.watch(l.withGauges(2*time.Second)), producerOf(l, l.anotherClient(), "p")
		w.resumed(p)
		l.publish(p, 2)
		w.drain(time.Second)
		w.Pause(errors.New("away"))
		time.Sleep(time.Second)
		l.publish(p, 1300)
		w.Resume()
		require.Equal(l, 1300, w.drain(5*time.Second))
		w.stays(danube.StateOpen, 10*time.Minute) // it is dead, but nobody misses anything
		l.publish(p, 5)
		require.Contains(l, w.within(danube.StateDead, 90*time.Second).Cause, "5 messages are unread")
	}, imitating, patient)
}

func TestT44ASubscriptionBelowItsOldMarkIsTold(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w, p := l.watch(l.withGauges(2*time.Second)), l.publisher("p")
		time.Sleep(11 * time.Second)
		l.publish(p, 29)
		require.Equal(l, 29, w.drain(time.Second))
		time.Sleep(11 * time.Second)
		l.publish(p, 1)
		require.Equal(l, 1, w.drain(time.Second))
		time.Sleep(11 * time.Second)
		l.broker.Restart(true)
		time.Sleep(10 * time.Second)
		l.publish(p, 3)
		first := w.drain(time.Second)
		got := w.within(map[bool]danube.State{true: danube.StateBehind, false: danube.StateStalled}[first > 0], 100*time.Second)
		require.Contains(l, got.Cause, "behind")
		require.Contains(l, got.Mend, "another subscription name")
		require.Equal(l, 1, got.Life)
		for w.drain(time.Second) == 0 {
			l.publish(p, 1)
		}
		w.within(danube.StateOpen, time.Second)
	}, imitating, patient)
}

func TestT39ADeadlockIsTold(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		theirs := l.publisher("theirs")
		n := onCables(l)
		mine, w := l.publisher("mine"), l.watch(nil)
		n.stuff()
		big := danube.Message{Payload: make([]byte, 64<<10)}
		for {
			ctx, cancel := context.WithTimeout(l.ctx, time.Second)
			err := theirs.Send(ctx, big)
			cancel()
			if err != nil {
				break
			}
		}
		n.pull()
		go func() { _ = mine.Send(l.ctx, big) }() // until the topic is gone
		w.within(danube.StateLost, 40*time.Second)
		got := w.within(danube.StateDeadlocked, 100*time.Second)
		require.Contains(l, got.Cause, "Subscribe hangs since")
		require.Contains(l, got.Mend, "DeleteTopic")
		w.stays(danube.StateDeadlocked, 5*time.Minute)
		require.NoError(l, l.admin.DeleteTopic(l.ctx, topic))
		w.within(danube.StateOpen, 30*time.Second)
		require.Equal(l, 1, w.States()[0].Life)
	}, imitating, patient, danubetest.Window(1000))
}
