package danube_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A lab is a broker in memory on a fake clock, with a client of each of its ports.
type lab struct {
	*testing.T
	broker  *danubetest.Broker
	client  *danube.Client
	schemas danube.Schemas
	admin   *danube.Admin
	ctx     context.Context
}

// inLab runs a test in a lab.
func inLab(t *testing.T, test func(*lab), opts ...danubetest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := danubetest.New(opts...)
		require.NoError(t, err)
		api, admin := bufconn.Listen(1<<20), bufconn.Listen(1<<20)
		require.NoError(t, b.Serve(api, admin))
		t.Cleanup(b.Close)
		dial := danube.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if strings.HasSuffix(addr, ":50051") {
				return admin.DialContext(ctx)
			}
			return api.DialContext(ctx)
		})
		c, err := danube.New("http://broker", dial)
		require.NoError(t, err)
		a, err := danube.NewAdmin("http://broker", dial)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		t.Cleanup(func() {
			cancel()
			require.NoError(t, errors.Join(a.Close(), c.Close()))
		})
		test(&lab{T: t, broker: b, client: c, schemas: c.Schemas(), admin: a, ctx: ctx})
	})
}

// inLabs runs a test against the broker that helps and the one that imitates the real broker.
func inLabs(t *testing.T, test func(*lab)) {
	t.Run("friendly", func(t *testing.T) {
		t.Parallel()
		inLab(t, test)
	})
	t.Run("v0.15", func(t *testing.T) {
		t.Parallel()
		inLab(t, test, danubetest.Imitate("v0.15"))
	})
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
