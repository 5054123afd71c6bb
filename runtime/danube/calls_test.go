package danube_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// proxied has the second connection, which is that of pipelined calls, answered as by a proxy that knows HTTP/1 only.
func proxied(t *testing.T, dials *atomic.Int64) danube.Option {
	t.Helper()
	proxy := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(proxy.Close)
	return danube.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		if dials.Add(1) == 2 {
			addr = proxy.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	})
}

func TestAPeerThatDoesNotBearPipeliningIsCalledThroughGRPC(t *testing.T) {
	t.Parallel()
	broker := danubetest.Start(t, danubetest.Window(100))
	var dials atomic.Int64
	client, err := danube.New(broker.URL(), proxied(t, &dials))
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	b := &bench{T: t, broker: broker, client: client}
	k, p := b.consumer(), b.producer(0)
	b.send(p, 0, 20)
	b.ackAll(k, b.receive(k, 0, 20))
	require.Equal(t, 20, broker.Published(topic))
	require.Equal(t, int64(2), dials.Load(), "once is enough to learn it")
}

func TestWithoutPipeliningThereIsOneConnection(t *testing.T) {
	t.Parallel()
	broker := danubetest.Start(t, danubetest.Window(100))
	var dials atomic.Int64
	count := danube.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	})
	client, err := danube.New(broker.URL(), count, danube.WithoutPipelining())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	b := &bench{T: t, broker: broker, client: client}
	k, p := b.consumer(), b.producer(0)
	b.send(p, 0, 20)
	b.ackAll(k, b.receive(k, 0, 20))
	require.Equal(t, int64(1), dials.Load())
}
