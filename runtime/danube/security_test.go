package danube_test

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestClientWithTLSAndToken(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: []byte("secret"), SuperAdmins: []string{"root"}}
	b := danubetest.Start(t, danubetest.Secure(auth))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(b.RootCA()))
	register := func(opts ...danube.Option) error {
		c, err := danube.New(b.URL(), opts...)
		require.NoError(t, err)
		defer c.Close()
		p, err := c.NewProducer(danube.ProducerSettings{Topic: "/default/orders", Name: "p", Reliable: true})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return p.Register(ctx)
	}
	token := func(text string, err error) danube.Option {
		return danube.WithToken(func(context.Context) (string, error) { return text, err })
	}
	require.NoError(t, register(danube.WithRootCAs(roots), token(auth.Token("root", time.Minute), nil)))
	require.ErrorContains(t, register(danube.WithRootCAs(roots)), "Authentication credentials are missing")
	require.ErrorContains(t, register(danube.WithRootCAs(roots), token(auth.Token("nobody", time.Minute), nil)), "no binding grants")
	require.Equal(t, []string{"/default/orders"}, b.Topics())

	header, err := danube.Bearer(func(context.Context) (string, error) { return "", errors.New("vault is sealed") }).GetRequestMetadata(t.Context())
	require.ErrorContains(t, err, "get token: vault is sealed")
	require.Empty(t, header)
}
