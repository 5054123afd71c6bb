package danube_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A lab is a bench on a fake clock with clients of all that a broker offers.
type lab struct {
	*bench
	schemas danube.Schemas
	admin   *danube.Admin
	ctx     context.Context
}

// inLab runs a test in a lab.
func inLab(t *testing.T, test func(*lab), opts ...danubetest.Option) {
	t.Helper()
	bubble(t, func(b *bench) {
		a, err := danube.NewAdmin("http://memory", danube.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return b.admin.DialContext(ctx)
		}))
		require.NoError(b, err)
		ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
		b.Cleanup(func() {
			cancel()
			require.NoError(b, a.Close())
		})
		test(&lab{bench: b, schemas: b.client.Schemas(), admin: a, ctx: ctx})
	}, opts...)
}

// inLabs runs a test in a lab with each of the brokers.
func inLabs(t *testing.T, test func(*lab)) {
	t.Helper()
	for name, opts := range brokers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, test, opts...)
		})
	}
}

// requireRefused checks the reason and the text of an error, and that a retry is not worth it.
func requireRefused(t testing.TB, err, reason error, text string) {
	t.Helper()
	require.ErrorIs(t, err, reason)
	require.ErrorContains(t, err, text)
	require.True(t, danube.IsPermanent(err), "%v", err)
	var e *danube.Error
	require.ErrorAs(t, err, &e)
}
