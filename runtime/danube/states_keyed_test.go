package danube_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// A cable is a connection that can be lost without either end being told.
type cable struct {
	net.Conn
	closed  chan struct{} // this end was closed
	once    sync.Once
	stuffed chan struct{} // nothing arrives any more
	pulled  chan struct{} // nor does anything leave
}

func (c *cable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	select {
	case <-c.stuffed:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *cable) Write(b []byte) (int, error) {
	select {
	case <-c.pulled:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

func (c *cable) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A network remembers the cables that were laid since some were pulled.
type network struct {
	lab    *lab
	mu     sync.Mutex
	cables []*cable
}

// onCables has the lab's client, from now on one of another process, connect by cables.
func onCables(l *lab) *network {
	l.Helper()
	n := &network{lab: l}
	c, err := danube.New("http://broker", danube.WithDialer(n.connect))
	require.NoError(l, err)
	l.Cleanup(func() { require.NoError(l, c.Close()) })
	l.client = c
	return n
}

func (n *network) connect(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := n.lab.api.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	laid := &cable{Conn: conn, closed: make(chan struct{}), stuffed: make(chan struct{}), pulled: make(chan struct{})}
	n.cables = append(n.cables, laid)
	return laid, nil
}

// stuff lets nothing arrive at the client any more.
func (n *network) stuff() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cables {
		close(c.stuffed)
	}
}

// pull has the broker lose the connection; the client only finds it silent.
func (n *network) pull() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cables {
		close(c.pulled)
		require.NoError(n.lab, c.Conn.Close())
	}
	n.cables = nil
}

func TestT15AnEvictionThatTheClientCannotSee(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		p := l.publisher("p")
		n := onCables(l)
		w := l.watch(func(s *danube.ConsumerSettings) { s.Type = danube.KeyShared })
		time.Sleep(18 * time.Second) // with nothing unacknowledged, or the real broker evicts nobody in silence
		n.stuff()
		n.pull()
		w.stays(danube.StateOpen, 20*time.Second) // as it looks
		time.Sleep(25 * time.Second)
		w.within(danube.StateOpen, 0)
		require.Contains(l, w.told(), danube.StateLost)
		w.getsAgain(p)
		require.Zero(l, w.States()[0].Life)
	}, imitating, patient)
}

// What a Key-Shared consumer holds would be lost to it if it gave its place up without need.
func TestT15AConsumerThatHoldsMessagesForLongKeepsItsName(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		w := l.watch(func(s *danube.ConsumerSettings) { s.Type = danube.KeyShared })
		l.publish(l.publisher("p"), 1)
		require.Len(l, w.take(time.Second), 1)
		time.Sleep(5*time.Minute + 27*time.Second)
		l.broker.DropStreams()
		time.Sleep(5 * time.Second)
		w.within(danube.StateOpen, 0)
		s, _ := l.broker.Subscription(topic, "s")
		require.Equal(l, []string{"c"}, s.Connected)
	}, imitating, patient)
}

// A connection that is dead looks like a broker that answers nothing until keepalive ends it.
func TestADeadConnectionIsNoStandstill(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		n, with := onCables(l), l.withGauges(2*time.Second)
		w := l.watch(with)
		p := l.publisher("p") // by the same connection
		for range 5 {
			l.publish(p, 3)
			all := w.take(time.Second)
			require.Len(l, all, 3)
			n.stuff()
			n.pull()
			for _, d := range all {
				w.Ack(d)
			}
			w.drain(2 * time.Minute)
		}
		for _, s := range w.told() {
			require.False(l, s.Stands(), "%+v", w.tale())
		}
		require.Contains(l, w.told(), danube.StateLost)
	}, imitating, patient)
}

func TestT15AnEvictedConsumerIsToldAndComesBackWithoutIt(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		inLab(t, func(l *lab) {
			w, p := l.watch(func(s *danube.ConsumerSettings) { s.Type = danube.KeyShared }), producerOf(l, l.anotherClient(), "p")
			l.broker.CutOff("c")
			require.Contains(l, w.within(danube.StateEvicted, 5*time.Second).Mend, "none is needed")
			time.Sleep(10 * time.Second)
			if restart {
				l.broker.Restart(true)
			}
			require.True(l, l.broker.LetIn("c"))
			got := w.within(danube.StateOpen, 10*time.Second)
			require.Equal(l, restart, got.Life == 1, "a new life is one although the consumer was away")
			w.getsAgain(p)
		}, imitating, patient)
	}
}

// getsAgain requires that a Key-Shared consumer gets what is published, in order. It may stay some messages behind for good: the place of a
// consumer that is gone is given up only while messages are published, and from then on each publish brings one.
func (w *watched) getsAgain(p *danube.Producer) {
	w.lab.Helper()
	const n = 30
	got := 0
	for range n {
		w.lab.publish(p, 1)
		got += w.drain(300 * time.Millisecond)
	}
	require.Greater(w.lab, got, n/2)
}
