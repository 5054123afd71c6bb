package subscription_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/subscription"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs test on a fake clock with a client of each kind of broker, on in-memory listeners.
func bubble(t *testing.T, test func(t *testing.T, client *danube.Client)) {
	t.Helper()
	for name, opts := range map[string][]danubetest.Option{"friendly": nil, "v0.15": {danubetest.Imitate("v0.15")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker, err := danubetest.New(opts...)
				require.NoError(t, err)
				t.Cleanup(broker.Close)
				api, admin := bufconn.Listen(1<<20), bufconn.Listen(1<<16)
				require.NoError(t, broker.Serve(api, admin))
				client, err := danube.New("http://memory:1", danube.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) {
					return api.DialContext(ctx)
				}))
				require.NoError(t, err)
				t.Cleanup(func() { client.Close() })
				test(t, client)
			})
		})
	}
}

func settings() subscription.Settings {
	return subscription.Settings{ConsumerSettings: danube.ConsumerSettings{
		Topic: "/default/numbers", Subscription: "s", Name: "c", Type: danube.Exclusive, CreateTopic: true,
	}}
}

func TestWhatIsAcknowledgedDoesNotComeAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, client *danube.Client) {
		s, err := subscription.Open(client, settings())
		require.NoError(t, err)
		defer s.Close()
		time.Sleep(10 * time.Second) // the real broker makes a topic in several steps
		require.NoError(t, s.Health())

		producer, err := client.NewProducer(danube.ProducerSettings{Topic: settings().Topic, Name: "p", Reliable: true})
		require.NoError(t, err)
		defer producer.Close()
		for _, value := range []string{"one", "two"} {
			err = producer.Send(t.Context(), danube.Message{Payload: []byte(value)})
			require.NoError(t, err)
		}
		first, err := s.Receive(t.Context())
		require.NoError(t, err)
		require.Equal(t, "one", string(first.Payload))
		s.Ack(first)
		require.NoError(t, s.Flush(t.Context()))
		require.Equal(t, uint64(1), s.Stats().Confirmed)
		s.Close()

		again, err := subscription.Open(client, settings())
		require.NoError(t, err)
		defer again.Close()
		second, err := again.Receive(t.Context())
		require.NoError(t, err)
		require.Equal(t, "two", string(second.Payload))
	})
}

func TestOpenRefusesWhatTheClientRefuses(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, client *danube.Client) {
		wrong := settings()
		wrong.MaxBytes = -1
		s, err := subscription.Open(client, wrong)
		require.ErrorContains(t, err, "must not be negative")
		require.Nil(t, s)
	})
}
