package danube_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// storm sends n messages by each of as many goroutines as senders.
func (l *lab) storm(p *danube.Producer, senders, n int) {
	l.Helper()
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() {
			for range n {
				if err := p.Send(l.ctx, danube.Message{Key: fmt.Sprint("k", i)}); err != nil {
					l.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// A publish whose answer is lost may be stored, and there is no way to ask. It is sent again as it was, so that whoever reads both can tell
// by the id that the caller gave it.
func TestT30AMessageIsResentAsItWas(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w, p := l.watch(nil), l.publisher("p")
		l.broker.StopAfter(1)
		time.AfterFunc(20*time.Second, func() { l.broker.Restart(true) })
		require.NoError(l, p.Send(l.ctx, danube.Message{Key: "k", Payload: []byte("x"), Attributes: map[string]string{"id": "7"}}))
		stored := l.broker.Messages(topic)
		require.Len(l, stored, 2)
		require.Equal(l, "x", string(stored[0].Payload))
		require.Empty(l, cmp.Diff(stored[0], stored[1], cmpopts.IgnoreFields(danubetest.Message{}, "Offset")))
		all := w.take(10 * time.Second)
		require.Len(l, all, 2, "they are two messages to the client, which cannot know what the caller's id is")
		require.Equal(l, "7", all[0].Attributes["id"])
		require.Equal(l, "7", all[1].Attributes["id"])
	})
}

// Two publishes on a topic at once can end a subscription that lived through a restart, so a producer makes one at a time by default.
func TestT37OnePublishAtATime(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w, p := l.watch(nil), l.publisher("p")
		w.resumed(p)
		l.publish(p, 2)
		require.Equal(l, 1, w.drain(time.Second), "the first is below the old mark")
		l.storm(p, 8, 25)
		require.Equal(l, 200, w.drain(time.Second))
		l.publish(p, 1)
		require.Equal(l, 1, w.drain(time.Second), "its reader lives")
	}, imitating, patient, danubetest.OverlapKill(1), danubetest.Window(1000))
}

// A publish that met its deadline because a consumer does not read is stored. To the caller whose time is up it is an error that is not
// final; one that can wait is told the outcome of the next try.
func TestT40APublishThatTimedOutMayBeStored(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		p := l.publisher("p")
		read := l.idler("s", danubepb.ConsumerRequest_Exclusive)
		send := func(d time.Duration, id string) error {
			ctx, cancel := context.WithTimeout(l.ctx, d)
			defer cancel()
			return p.Send(ctx, danube.Message{Attributes: map[string]string{"id": id}})
		}
		n := 0
		for send(time.Second, "before") == nil {
			n++
		}
		require.Greater(l, n, 30)
		time.AfterFunc(40*time.Second, read)
		require.NoError(l, send(5*time.Minute, "7"))
		times := map[string]int{}
		for _, m := range l.broker.Messages(topic) {
			times[m.Attributes["id"]]++
		}
		require.Greater(l, times["before"], n, "what its caller gave up is stored")
		require.Greater(l, times["7"], 1, "each try is stored")
	}, imitating, patient)
}

// CANCELLED means that the own deadline has passed, after which the call is made again, or that the broker panicked on this very message.
func TestT47CancelledMeansWhatItsTextSays(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		p := l.publisher("p")
		const slow = 20 // of which the broker ends some itself
		l.broker.Delay("SendMessage", time.Hour, slow)
		start := time.Now()
		l.publish(p, 1)
		require.Greater(l, time.Since(start), slow*10*time.Second)
		require.Len(l, l.broker.Messages(topic), 1)

		r, err := l.schemas.Register(l.ctx, danube.NewSchema{Subject: "proto", Type: danube.SchemaProtobuf, Definition: `syntax = "proto3";`})
		require.NoError(l, err)
		require.NoError(l, l.schemas.ConfigureTopic(l.ctx, topic, danube.TopicSchema{Subject: "proto", Policy: danube.ValidateEnforce, Payloads: true}))
		start = time.Now()
		err = p.Send(l.ctx, danube.Message{SchemaID: r.ID, SchemaVersion: r.Version, Payload: []byte("x")})
		requireRefused(l, err, danube.ErrSchema, "RST_STREAM")
		require.ErrorContains(l, err, "switch payload validation off")
		require.Zero(l, time.Since(start))
	}, imitating, patient)
}

// A topic that is not reliable loses messages as soon as several publishes are in flight.
func TestT51OnePublishAtATimeLosesNothing(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		p, err := l.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p"})
		require.NoError(l, err)
		l.Cleanup(p.Close)
		require.NoError(l, p.Register(l.ctx))
		w := l.watch(nil)
		l.broker.Delay("SendMessage", time.Millisecond, danubetest.Always) // as far away as the real one, which loses nothing at this pace
		l.storm(p, 64, 10)
		require.Equal(l, 640, len(w.take(time.Second)))
	}, imitating)
}
