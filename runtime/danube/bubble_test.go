package danube_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// bubble runs test on a fake clock, with a broker on in-memory listeners and a client of it. Times pass at once when everything waits.
func bubble(t *testing.T, test func(b *bench), opts ...danubetest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		broker, err := danubetest.New(opts...)
		require.NoError(t, err)
		api, admin := bufconn.Listen(1<<20), bufconn.Listen(1<<16)
		require.NoError(t, broker.Serve(api, admin))
		t.Cleanup(broker.Close)
		b := &bench{T: t, broker: broker, api: api, admin: admin}
		b.client = b.anotherClient()
		test(b)
	})
}

// brokers are the one that helps and the one that imitates the real broker, for what is promised on both.
var brokers = map[string][]danubetest.Option{"friendly": nil, "v0.15": {danubetest.Imitate("v0.15")}}

// bubbles runs test in a bubble with each of the brokers.
func bubbles(t *testing.T, test func(b *bench), opts ...danubetest.Option) {
	t.Helper()
	for name, kind := range brokers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, test, slices.Concat(opts, kind)...)
		})
	}
}

// anotherClient connects to the broker of a bubble by a connection of its own.
func (b *bench) anotherClient() *danube.Client {
	b.Helper()
	client, err := danube.New("http://memory:1", danube.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return b.api.DialContext(ctx)
	}))
	require.NoError(b, err)
	b.Cleanup(func() { client.Close() })
	return client
}

// within returns what is received in d.
func (b *bench) within(k *danube.Consumer, d time.Duration) []danube.Delivery {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	var all []danube.Delivery
	for {
		got, err := k.Receive(ctx)
		if err != nil {
			require.ErrorIs(b, err, context.DeadlineExceeded)
			return all
		}
		all = append(all, got)
	}
}

func payloads(all []danube.Delivery) []string {
	var texts []string
	for _, d := range all {
		texts = append(texts, string(d.Payload))
	}
	return texts
}
