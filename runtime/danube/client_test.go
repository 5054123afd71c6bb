package danube_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

const topic = "/default/orders"

type bench struct {
	*testing.T
	broker *danubetest.Broker
	client *danube.Client
	api    *bufconn.Listener // of a bubble
	admin  *bufconn.Listener // of a bubble
}

func newBench(t *testing.T, opts ...danubetest.Option) *bench {
	t.Helper()
	b := &bench{T: t, broker: danubetest.Start(t, opts...)}
	c, err := danube.New(b.broker.URL())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	b.client = c
	return b
}

func (b *bench) ctx() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	b.Cleanup(cancel)
	return ctx
}

func (b *bench) producer(partitions int) *danube.Producer {
	b.Helper()
	p, err := b.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Partitions: partitions, Reliable: true})
	require.NoError(b, err)
	require.NoError(b, p.Register(b.ctx()))
	return p
}

func (b *bench) consumer() *danube.Consumer {
	b.Helper()
	k, err := b.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c", CreateTopic: true})
	require.NoError(b, err)
	b.Cleanup(k.Close)
	b.waitFor(func() bool { return k.Health() == nil })
	return k
}

func (b *bench) waitFor(met func() bool) {
	b.Helper()
	require.Eventually(b, met, 20*time.Second, time.Millisecond)
}

func (b *bench) send(p *danube.Producer, from, to int) {
	b.Helper()
	for i := from; i < to; i++ {
		require.NoError(b, p.Send(b.ctx(), danube.Message{Payload: fmt.Append(nil, i)}))
	}
}

// receive takes n messages and checks that they are from, from+1, …
func (b *bench) receive(k *danube.Consumer, from, n int) []danube.Delivery {
	b.Helper()
	var all []danube.Delivery
	for i := range n {
		d, err := k.Receive(b.ctx())
		require.NoError(b, err)
		require.Equal(b, fmt.Sprint(from+i), string(d.Payload))
		all = append(all, d)
	}
	return all
}

func (b *bench) ackAll(k *danube.Consumer, all []danube.Delivery) {
	b.Helper()
	for _, d := range all {
		k.Ack(d)
	}
	b.waitFor(func() bool {
		s, _ := b.broker.Subscription(topic, "s")
		return s.Backlog == 0
	})
}

func TestAMessageKeepsAllItsFields(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		at := time.UnixMilli(1_700_000_000_123)
		sent := danube.Message{
			Key: "k", Payload: []byte{0, 255, 'x'}, Attributes: map[string]string{"a": "ü"}, PublishTime: at,
			SchemaID: 7, SchemaVersion: 2,
		}
		require.NoError(b, p.Send(b.ctx(), sent))
		d, err := k.Receive(b.ctx())
		require.NoError(b, err)
		require.Equal(b, topic, d.Topic)
		require.Equal(b, -1, d.Partition)
		require.Equal(b, uint64(0), d.Offset)
		require.Equal(b, sent.Key, d.Key)
		require.Equal(b, sent.Payload, d.Payload)
		require.Equal(b, sent.Attributes, d.Attributes)
		require.True(b, at.Equal(d.PublishTime))
		require.Equal(b, "p", d.Producer)
		require.Equal(b, uint64(7), d.SchemaID)
		require.Equal(b, uint32(2), d.SchemaVersion)
	})
}

func TestT12BothEndsHealFromABrokerRestart(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		for round := range 5 {
			b.send(p, round*4, round*4+4)
			b.ackAll(k, b.receive(k, round*4, 4))
			b.broker.Restart(true)
			// What is published before the consumer is back passes a subscription by that the real broker has not stored yet.
			b.waitFor(func() bool { now := k.States()[0]; return now.Life == round+1 && now.State == danube.StateOpen })
		}
	})
}

func TestT28ARestartIsANewLife(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		b.send(p, 0, 5)
		held := b.receive(k, 0, 5)
		b.broker.Restart(false)
		b.waitFor(func() bool {
			s, _ := b.broker.Subscription(topic, "s")
			return len(s.Connected) == 1
		})
		b.send(p, 100, 103) // offsets begin again at 0
		for _, d := range held {
			k.Ack(d) // of the life before: must not stand for the new messages of the same offsets
		}
		again := b.receive(k, 100, 3)
		require.Equal(b, uint64(0), again[0].Offset)
		require.Equal(b, 1, again[0].Life)
		s, _ := b.broker.Subscription(topic, "s")
		require.Zero(b, s.Acked)
		b.ackAll(k, again)
	})
}

func TestWhatTheCallerHoldsIsNotDeliveredTwice(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		b.send(p, 0, 8)
		held := b.receive(k, 0, 8)
		for i := range 3 {
			b.broker.DropStreams()
			b.waitFor(func() bool { return k.Stats().Repeated >= uint64(8*(i+1)) })
		}
		b.send(p, 8, 10)
		held = append(held, b.receive(k, 8, 2)...)
		b.ackAll(k, held)
		require.Equal(b, 0, k.Held())
	})
}

func TestT08PauseHidesTheWaitAndResumeRepeatsNothing(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		k.Pause(errors.New("the target is away"))
		b.waitFor(func() bool { s, _ := b.broker.Subscription(topic, "s"); return len(s.Connected) == 0 })
		require.ErrorContains(b, k.Health(), "the target is away")
		b.send(p, 0, 5)
		k.Resume()
		held := b.receive(k, 0, 5)
		k.Pause(errors.New("again"))
		b.waitFor(func() bool { s, _ := b.broker.Subscription(topic, "s"); return len(s.Connected) == 0 })
		for _, d := range held {
			k.Ack(d) // takes effect after Resume
		}
		require.Equal(b, 0, k.Held())
		k.Resume()
		b.ackAll(k, nil)
		require.NoError(b, k.Health())
		b.send(p, 5, 6)
		b.ackAll(k, b.receive(k, 5, 1))
	}, danubetest.Policy(danubetest.FailurePolicy{MaxRedeliveries: 1, AckTimeout: 20 * time.Millisecond, Fixed: true}))
}

func TestKeysKeepTheirPartitionAndOrder(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		p := b.producer(3)
		k := b.consumer()
		var wg sync.WaitGroup
		for _, key := range []string{"a", "keyB", "payment", "shipping"} {
			wg.Go(func() {
				for i := range 20 {
					err := p.Send(b.ctx(), danube.Message{Key: key, Payload: fmt.Append(nil, i)})
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		next := map[string]int{}
		place := map[string]int{}
		for range 80 {
			d, err := k.Receive(b.ctx())
			require.NoError(b, err)
			require.Equal(b, fmt.Sprint(next[d.Key]), string(d.Payload))
			next[d.Key]++
			if at, seen := place[d.Key]; seen {
				require.Equal(b, at, d.Partition)
			}
			place[d.Key] = d.Partition
			require.Equal(b, topic, d.Topic)
			k.Ack(d)
		}
		require.NoError(b, k.Flush(b.ctx()))
	})
}

func TestWhatNoRetryMendsComesBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		b.producer(0)
		p, err := b.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "q"}) // not reliable
		require.NoError(b, err)
		err = p.Send(b.ctx(), danube.Message{})
		require.True(b, danube.IsPermanent(err), "%v", err)
		require.ErrorContains(b, err, "strategy")

		err = b.producer(0).Send(b.ctx(), danube.Message{Payload: make([]byte, 4<<20)})
		require.True(b, danube.IsPermanent(err), "%v", err)
		require.ErrorContains(b, err, "exceed")

		_, err = b.client.NewProducer(danube.ProducerSettings{Topic: "orders", Name: "q"})
		require.ErrorContains(b, err, "/default/events")
		_, err = danube.New("localhost:6650")
		require.ErrorContains(b, err, "http://localhost:6650")
	})
}

func TestTransientRefusalsAreRetried(t *testing.T) {
	t.Parallel()
	bubbles(t, func(b *bench) {
		b.broker.Refuse("TopicLookup", codes.Unavailable, 1)
		b.broker.Refuse("CreateProducer", codes.DeadlineExceeded, 1)
		b.broker.Refuse("Subscribe", codes.NotFound, 1)
		b.broker.Refuse("ReceiveMessages", codes.NotFound, 1)
		b.broker.Refuse("SendMessage", codes.NotFound, 1)
		k, p := b.consumer(), b.producer(0)
		b.send(p, 0, 3)
		b.broker.Refuse("Ack", codes.Unavailable, 2)
		b.ackAll(k, b.receive(k, 0, 3))
		require.NoError(b, k.Flush(b.ctx()))
		require.Equal(b, uint64(3), k.Stats().Confirmed)
	})
}

func TestAnUnreachableBrokerShowsInHealth(t *testing.T) {
	t.Parallel()
	c, err := danube.New("http://127.0.0.1:1")
	require.NoError(t, err)
	defer c.Close()
	p, err := c.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p"})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Send(ctx, danube.Message{}), context.DeadlineExceeded)
	require.ErrorContains(t, p.Health(), "connection refused")
	k, err := c.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
	require.NoError(t, err)
	defer k.Close()
	require.Eventually(t, func() bool { return errorText(k.Health()) != "subscribing to "+topic }, 10*time.Second, time.Millisecond)
	require.ErrorContains(t, k.Health(), "connection refused")
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
