package danube_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// patient is a policy under which nothing is ever delivered too often.
var patient = danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Hour, MaxRedeliveries: 1000, BaseDelay: time.Second, MaxDelay: time.Minute, Fixed: true})

var imitating = danubetest.Imitate("v0.15")

// A watched is a consumer whose changes of state are noted.
type watched struct {
	*danube.Consumer
	lab *lab

	mu    sync.Mutex
	trail []danube.SubscriptionState
}

// watch starts consumer c of subscription s, after the topic was made, and notes what Changed tells.
func (l *lab) watch(change func(*danube.ConsumerSettings)) *watched {
	l.Helper()
	s := danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c", CreateTopic: true}
	if change != nil {
		change(&s)
	}
	k, err := l.client.NewConsumer(s)
	require.NoError(l, err)
	w := &watched{Consumer: k, lab: l}
	done := make(chan struct{})
	l.Cleanup(func() {
		k.Close()
		close(done)
	})
	go func() {
		for {
			select {
			case <-k.Changed():
				w.mu.Lock()
				w.trail = append(w.trail, k.States()...)
				w.mu.Unlock()
			case <-done:
				return
			}
		}
	}()
	w.within(danube.StateOpen, 5*time.Second)
	return w
}

// within waits until the only partition is in a state, and fails after d.
func (w *watched) within(want danube.State, d time.Duration) danube.SubscriptionState {
	w.lab.Helper()
	for end := time.Now().Add(d); ; time.Sleep(100 * time.Millisecond) {
		got := w.States()
		require.Len(w.lab, got, 1)
		if got[0].State == want {
			require.False(w.lab, got[0].Since.After(time.Now()))
			return got[0]
		}
		if !time.Now().Before(end) {
			require.FailNow(w.lab, "not in time", "%v after %v, but %+v", want, d, got[0])
		}
	}
}

// stays requires that the state does not change for d.
func (w *watched) stays(want danube.State, d time.Duration) {
	w.lab.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		require.Equal(w.lab, want, w.States()[0].State, "%+v", w.States()[0])
	}
}

// tale is all that Changed has told of.
func (w *watched) tale() []danube.SubscriptionState {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.trail)
}

// told lists the states that Changed has told of.
func (w *watched) told() (states []danube.State) {
	for _, s := range w.tale() {
		if n := len(states); n == 0 || states[n-1] != s.State {
			states = append(states, s.State)
		}
	}
	return states
}

// take receives what comes within d.
func (w *watched) take(d time.Duration) (all []danube.Delivery) {
	ctx, cancel := context.WithTimeout(w.lab.ctx, d)
	defer cancel()
	for {
		got, err := w.Receive(ctx)
		if err != nil {
			return all
		}
		all = append(all, got)
	}
}

// drain acknowledges what comes until nothing has come for d, and counts it.
func (w *watched) drain(d time.Duration) (n int) {
	for all := w.take(d); len(all) > 0; all = w.take(d) {
		for _, got := range all {
			w.Ack(got)
		}
		n += len(all)
	}
	return n
}

func (l *lab) publisher(name string) *danube.Producer {
	l.Helper()
	return producerOf(l, l.client, name)
}

func producerOf(l *lab, c *danube.Client, name string) *danube.Producer {
	l.Helper()
	p, err := c.NewProducer(danube.ProducerSettings{Topic: topic, Name: name, Reliable: true})
	require.NoError(l, err)
	l.Cleanup(p.Close)
	require.NoError(l, p.Register(l.ctx))
	return p
}

func (l *lab) publish(p *danube.Producer, n int) {
	l.Helper()
	for i := range n {
		require.NoError(l, p.Send(l.ctx, danube.Message{Key: fmt.Sprint("k", i)}))
	}
}

// withGauges lets consumers look at the broker's gauges, read every so often.
func (l *lab) withGauges(every time.Duration) func(*danube.ConsumerSettings) {
	l.Helper()
	w := danube.NewGaugeWatch(l.gauges(), every, nil)
	ctx, cancel := context.WithCancel(l.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	l.Cleanup(func() {
		cancel()
		<-done
	})
	return func(s *danube.ConsumerSettings) { s.Gauges = w }
}

// anew gives the subscription up and begins it again, as the mend of most ways of standing still says.
func (w *watched) anew() {
	w.lab.Helper()
	w.Pause(errors.New("subscription is made anew"))
	require.NoError(w.lab, w.lab.admin.Unsubscribe(w.lab.ctx, topic, "s"))
	w.Resume()
	w.within(danube.StateOpen, 5*time.Second)
}

// raw speaks to the broker without the client's care.
func (l *lab) raw() danubepb.ConsumerServiceClient {
	l.Helper()
	conn, err := grpc.NewClient("passthrough:///broker:6650", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.api.DialContext(ctx) }))
	require.NoError(l, err)
	l.Cleanup(func() { require.NoError(l, conn.Close()) })
	return danubepb.NewConsumerServiceClient(conn)
}

// idler makes a consumer that does not read until read is called, and then acknowledges all.
func (l *lab) idler(sub string, kind danubepb.ConsumerRequest_SubscriptionType) (read func()) {
	l.Helper()
	raw := l.raw()
	resp, err := raw.Subscribe(l.ctx, &danubepb.ConsumerRequest{TopicName: topic, Subscription: sub, ConsumerName: "idler", SubscriptionType: kind})
	require.NoError(l, err)
	return func() {
		stream, err := raw.ReceiveMessages(l.ctx, &danubepb.ReceiveRequest{ConsumerId: resp.GetConsumerId()})
		require.NoError(l, err)
		go func() {
			for {
				m, err := stream.Recv()
				if err != nil {
					return
				}
				_, _ = raw.Ack(l.ctx, &danubepb.AckRequest{MsgId: m.GetMsgId(), SubscriptionName: sub}) // the lab may end meanwhile
			}
		}()
	}
}
