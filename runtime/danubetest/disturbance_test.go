package danubetest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// Whatever happens to streams, connections and the broker, each message is acknowledged in the end.
func TestNothingIsLostInDisturbance(t *testing.T) {
	t.Parallel()
	policy := danubetest.FailurePolicy{MaxRedeliveries: 1 << 20, AckTimeout: time.Second, BaseDelay: 100 * time.Millisecond, MaxDelay: time.Second}
	for _, kind := range []danubepb.ConsumerRequest_SubscriptionType{exclusive, shared, failover, keyShared} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T, c *client) {
					c.producer(orders, "p", reliable)
					c.subscribe(orders, "s", "c0", kind) // from the first message on
					ctx, stop := context.WithCancel(c.ctx)
					acked := &ackedSet{offsets: make(map[uint64]bool)}
					var clients sync.WaitGroup
					for i := range 3 {
						clients.Go(func() { acked.consume(ctx, c, fmt.Sprint("c", i), kind, rand.New(rand.NewPCG(seed, uint64(i)))) })
					}
					const n = 400
					disturb(t, c, n, rand.New(rand.NewPCG(seed, 99)))
					drained, giveUp := context.WithTimeout(ctx, time.Hour)
					defer giveUp()
					err := c.broker.WaitFor(drained, func() bool {
						s, _ := c.broker.Subscription(orders, "s")
						return s.Backlog == 0
					})
					s, _ := c.broker.Subscription(orders, "s")
					require.NoError(t, err, "%+v", s)
					stop()
					clients.Wait()
					require.Len(t, acked.offsets, n)
				}, danubetest.Policy(policy))
			})
		}
	}
}

// disturb publishes n messages and breaks things between them.
func disturb(t *testing.T, c *client, n int, random *rand.Rand) {
	p := c.producer(orders, "p", reliable)
	for i := range n {
		p.sendKey(fmt.Sprint("key", i%7), "x")
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		switch random.IntN(40) {
		case 0:
			c.broker.DropStreams()
		case 1:
			c.broker.Restart(true)
			require.NoError(t, settled(func() error {
				_, err := c.lookup(orders)
				return err
			}))
			p = c.producer(orders, "p", reliable)
		case 2:
			c.broker.Redeliver(orders, "s")
		case 3:
			require.True(t, c.broker.Duplicate(orders, 3))
		}
	}
}

// ackedSet is the offsets of the messages that consumers acknowledged. Acknowledgements whose answer was lost count.
type ackedSet struct {
	mu      sync.Mutex
	offsets map[uint64]bool
}

// consume is a consumer that comes back for ever, and neither acknowledges everything nor stays for long.
func (a *ackedSet) consume(ctx context.Context, c *client, name string, kind danubepb.ConsumerRequest_SubscriptionType, random *rand.Rand) {
	for ctx.Err() == nil {
		resp, err := c.Subscribe(ctx, &danubepb.ConsumerRequest{TopicName: orders, Subscription: "s", ConsumerName: name, SubscriptionType: kind})
		if err == nil {
			a.read(ctx, c, resp.GetConsumerId(), random)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (a *ackedSet) read(ctx context.Context, c *client, id uint64, random *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := c.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: id})
	if err != nil {
		return
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return
		}
		switch random.IntN(10) {
		case 0: // forgotten
		case 1:
			_, _ = c.Nack(ctx, &danubepb.NackRequest{MsgId: m.GetMsgId(), SubscriptionName: "s", DelayMs: proto.Uint64(1)}) // lost nacks are part of it
		default:
			a.mu.Lock()
			a.offsets[offset(m)] = true
			a.mu.Unlock()
			_, _ = c.Ack(ctx, &danubepb.AckRequest{MsgId: m.GetMsgId(), SubscriptionName: "s"}) // if it fails, the message comes again
		}
	}
}
