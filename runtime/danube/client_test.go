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
	b := newBench(t)
	k, p := b.consumer(), b.producer(0)
	at := time.UnixMilli(1_700_000_000_123)
	sent := danube.Message{
		Key: "k", Payload: []byte{0, 255, 'x'}, Attributes: map[string]string{"a": "ü"}, PublishTime: at,
		SchemaID: 7, SchemaVersion: 2,
	}
	require.NoError(t, p.Send(b.ctx(), sent))
	d, err := k.Receive(b.ctx())
	require.NoError(t, err)
	require.Equal(t, topic, d.Topic)
	require.Equal(t, -1, d.Partition)
	require.Equal(t, uint64(0), d.Offset)
	require.Equal(t, sent.Key, d.Key)
	require.Equal(t, sent.Payload, d.Payload)
	require.Equal(t, sent.Attributes, d.Attributes)
	require.True(t, at.Equal(d.PublishTime))
	require.Equal(t, "p", d.Producer)
	require.Equal(t, uint64(7), d.SchemaID)
	require.Equal(t, uint32(2), d.SchemaVersion)
}

func TestT12BothEndsHealFromABrokerRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	k, p := b.consumer(), b.producer(0)
	for round := range 5 {
		b.send(p, round*4, round*4+4)
		b.ackAll(k, b.receive(k, round*4, 4))
		b.broker.Restart(true)
	}
}

func TestT28ARestartIsANewLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
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
	require.Equal(t, uint64(0), again[0].Offset)
	s, _ := b.broker.Subscription(topic, "s")
	require.Zero(t, s.Acked)
	b.ackAll(k, again)
}

func TestWhatTheCallerHoldsIsNotDeliveredTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
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
	require.Equal(t, 0, k.Held())
}

func TestT08PauseHidesTheWaitAndResumeRepeatsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, danubetest.Policy(danubetest.FailurePolicy{MaxRedeliveries: 1, AckTimeout: 20 * time.Millisecond, Fixed: true}))
	k, p := b.consumer(), b.producer(0)
	k.Pause(errors.New("the target is away"))
	b.waitFor(func() bool { s, _ := b.broker.Subscription(topic, "s"); return len(s.Connected) == 0 })
	require.ErrorContains(t, k.Health(), "the target is away")
	b.send(p, 0, 5)
	k.Resume()
	held := b.receive(k, 0, 5)
	k.Pause(errors.New("again"))
	b.waitFor(func() bool { s, _ := b.broker.Subscription(topic, "s"); return len(s.Connected) == 0 })
	for _, d := range held {
		k.Ack(d) // takes effect after Resume
	}
	require.Equal(t, 0, k.Held())
	k.Resume()
	b.ackAll(k, nil)
	require.NoError(t, k.Health())
	b.send(p, 5, 6)
	b.ackAll(k, b.receive(k, 5, 1))
}

func TestKeysKeepTheirPartitionAndOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.producer(3)
	k := b.consumer()
	var wg sync.WaitGroup
	for _, key := range []string{"a", "keyB", "payment", "shipping"} {
		wg.Go(func() {
			for i := range 20 {
				err := p.Send(b.ctx(), danube.Message{Key: key, Payload: fmt.Append(nil, i)})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := map[string]int{}
	place := map[string]int{}
	for range 80 {
		d, err := k.Receive(b.ctx())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(next[d.Key]), string(d.Payload))
		next[d.Key]++
		if at, seen := place[d.Key]; seen {
			require.Equal(t, at, d.Partition)
		}
		place[d.Key] = d.Partition
		require.Equal(t, topic, d.Topic)
		k.Ack(d)
	}
	require.NoError(t, k.Flush(b.ctx()))
}

func TestT05AMissingTopicIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	k, err := b.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
	require.NoError(t, err)
	defer k.Close()
	b.waitFor(func() bool { err := k.Health(); return err != nil && err.Error() != "subscribing to "+topic })
	require.ErrorContains(t, k.Health(), "does not exist yet")
	p := b.producer(0)
	b.waitFor(func() bool { return k.Health() == nil })
	b.send(p, 0, 1)
	b.ackAll(k, b.receive(k, 0, 1))
}

func TestWhatNoRetryMendsComesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.producer(0)
	p, err := b.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "q"}) // not reliable
	require.NoError(t, err)
	err = p.Send(b.ctx(), danube.Message{})
	require.True(t, danube.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, "strategy")

	err = b.producer(0).Send(b.ctx(), danube.Message{Payload: make([]byte, 4<<20)})
	require.True(t, danube.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, "exceed")

	_, err = b.client.NewProducer(danube.ProducerSettings{Topic: "orders", Name: "q"})
	require.ErrorContains(t, err, "/default/events")
	_, err = danube.New("localhost:6650")
	require.ErrorContains(t, err, "http://localhost:6650")
}

func TestTransientRefusalsAreRetried(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.broker.Refuse("TopicLookup", codes.Unavailable, 1)
	b.broker.Refuse("CreateProducer", codes.DeadlineExceeded, 1)
	b.broker.Refuse("Subscribe", codes.NotFound, 1)
	b.broker.Refuse("ReceiveMessages", codes.NotFound, 1)
	b.broker.Refuse("SendMessage", codes.NotFound, 1)
	k, p := b.consumer(), b.producer(0)
	b.send(p, 0, 3)
	b.broker.Refuse("Ack", codes.Unavailable, 2)
	b.ackAll(k, b.receive(k, 0, 3))
	require.NoError(t, k.Flush(b.ctx()))
	require.Equal(t, uint64(3), k.Stats().Confirmed)
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
