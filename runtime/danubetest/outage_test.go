package danubetest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog/seglogtest"
)

// A seed that fails is run again by: go test ./danubetest -run 'TestWhatWasAnsweredSurvivesTheEndOfTheMachine/seed=N$'
func TestWhatWasAnsweredSurvivesTheEndOfTheMachine(t *testing.T) {
	t.Parallel()
	for seed := range modelSeeds(t, 40) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutages(t, seed)
				for range 6 {
					o.life()
				}
			})
		})
	}
}

// outages are the lives of one data directory between the ends of its machine.
type outages struct {
	t       *testing.T
	random  *rand.Rand
	dir     string // of the lock; all else is on the machine's disk
	machine *seglogtest.Machine
	sent    int
	topics  map[string]*answered
}

// answered is what a client knows of a topic.
type answered struct {
	subscribed bool // the subscription was there before the first message
	payloads   []string
	acked      map[string]bool // or perhaps acknowledged
}

func newOutages(t *testing.T, seed uint64) *outages {
	o := &outages{
		t: t, random: rand.New(rand.NewPCG(seed, 2)), dir: t.TempDir(), machine: seglogtest.New(), topics: make(map[string]*answered),
	}
	require.NoError(t, o.machine.MkdirAll(o.dir, 0o755))
	for dir := o.dir; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		require.NoError(t, o.machine.SyncDir(filepath.Dir(dir)))
	}
	return o
}

// life starts a broker, checks what it has, works with it until the machine ends, and starts the machine again.
func (o *outages) life() {
	o.machine.EndAfter(o.random.IntN(120))
	defer func() { o.machine = o.machine.After(o.random) }()
	b, err := danubetest.New(danubetest.DataDir(o.dir), danubetest.Files(o.machine), danubetest.Window(1000))
	if err != nil {
		require.ErrorIs(o.t, err, seglogtest.ErrOff)
		return
	}
	defer b.Close()
	o.check(b)
	api, admin := bufconn.Listen(1<<20), bufconn.Listen(1<<16)
	require.NoError(o.t, b.Serve(api, admin))
	c := newClient(o.t, b, dialMemory(o.t, api), dialMemory(o.t, admin))
	for !o.machine.Off() {
		if err := o.step(c); err != nil {
			require.True(o.t, o.machine.Off(), "error: %v", err)
		}
	}
}

// check compares what the broker has with what was answered. It may have more: what was on its way.
func (o *outages) check(b *danubetest.Broker) {
	for name, known := range o.topics {
		messages := b.Messages(name)
		if o.machine.Off() {
			return // nothing can be read
		}
		require.Contains(o.t, b.Topics(), name)
		next, unacked := 0, 0
		for _, m := range messages {
			if !known.acked[string(m.Payload)] {
				unacked++
			}
			if next < len(known.payloads) && string(m.Payload) == known.payloads[next] {
				next++
			}
		}
		require.Equal(o.t, len(known.payloads), next, "of %s there are %d messages", name, len(messages))
		if known.subscribed {
			stats, ok := b.Subscription(name, "s")
			require.True(o.t, ok, "subscription of %s", name)
			require.Equal(o.t, shared, stats.Type)
			require.GreaterOrEqual(o.t, stats.Backlog, unacked, "a message was passed that was not acknowledged")
		}
	}
}

// step makes a random call; the error is the broker's.
func (o *outages) step(c *client) error {
	name := fmt.Sprintf("/default/t%d", o.random.IntN(4))
	p, err := c.CreateProducer(c.ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: name, DispatchStrategy: reliable})
	if err != nil {
		return err
	}
	known := o.topics[name]
	if known == nil {
		known = &answered{acked: make(map[string]bool)}
		o.topics[name] = known
	}
	if !known.subscribed {
		_, err := o.subscribe(c, name)
		known.subscribed = err == nil
		return err
	}
	switch o.random.IntN(6) {
	case 0:
		time.Sleep(time.Duration(o.random.IntN(300)) * time.Millisecond)
		return nil
	case 1:
		return o.acknowledge(c, name, known)
	}
	o.sent++
	payload := fmt.Sprint(o.sent)
	_, err = c.SendMessage(c.ctx, &danubepb.StreamMessage{
		MsgId: &danubepb.MsgID{ProducerId: p.GetProducerId(), TopicName: name}, ProducerName: "p", Payload: []byte(payload),
	})
	if err == nil {
		known.payloads = append(known.payloads, payload)
	}
	return err
}

func (o *outages) subscribe(c *client, topic string) (consumer uint64, err error) {
	resp, err := c.Subscribe(c.ctx, &danubepb.ConsumerRequest{TopicName: topic, Subscription: "s", ConsumerName: "c", SubscriptionType: shared})
	return resp.GetConsumerId(), err
}

// acknowledge reads some messages and acknowledges them.
func (o *outages) acknowledge(c *client, topic string, known *answered) error {
	stats, _ := c.broker.Subscription(topic, "s")
	id, err := o.subscribe(c, topic)
	if err != nil || stats.Backlog == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, time.Second)
	defer cancel()
	stream, err := c.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: id})
	if err != nil {
		return err
	}
	for range 1 + o.random.IntN(stats.Backlog) {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		known.acked[string(m.GetPayload())] = true
		if _, err := c.Ack(ctx, &danubepb.AckRequest{MsgId: m.GetMsgId(), SubscriptionName: "s"}); err != nil {
			return err
		}
	}
	return nil
}
