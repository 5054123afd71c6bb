package danube_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

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

func TestFilesOfAuthorityAndTokenReachASecuredBroker(t *testing.T) {
	t.Parallel()
	b := danubetest.Start(t, danubetest.Secure(testAuth))
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(ca, string(b.RootCA()))
	write(token, testAuth.Token("root", -time.Hour))
	c, err := danube.New(b.URL(), danube.WithRootCAFile(ca), danube.WithTokenFile(token))
	require.NoError(t, err)
	defer c.Close()
	write(token, testAuth.Token("root", time.Hour)+"\n") // the first token has ended, and a call under way finds the second
	p, err := c.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true})
	require.NoError(t, err)
	require.NoError(t, p.Send(t.Context(), danube.Message{}))
	k, err := c.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
	require.NoError(t, err)
	defer k.Close()
	require.Eventually(t, func() bool { return k.Health() == nil }, 10*time.Second, time.Millisecond)
}

// TestBothSidesShowCertificates runs against a server that demands one, of version 1.2 only, under a name that is not its host.
func TestBothSidesShowCertificates(t *testing.T) {
	t.Parallel()
	front := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{ownCertificate(t)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ownRoots(t),
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
	})), grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return errors.New("shaken hands") }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = front.Serve(l) // ends with Stop
	}()
	t.Cleanup(func() {
		front.Stop()
		<-done
	})
	certFile, keyFile := certificateFiles(t)
	for name, certificate := range map[string]danube.Option{
		"value": danube.WithClientCertificate(ownCertificate(t)),
		"files": danube.WithClientCertificateFiles(certFile, keyFile),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := danube.New("https://"+l.Addr().String(), danube.WithRootCAs(ownRoots(t)), danube.WithServerName("broker.test"), certificate)
			require.NoError(t, err)
			defer c.Close()
			p, err := c.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p"})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			sent := make(chan error)
			go func() { sent <- p.Send(ctx, danube.Message{}) }()
			require.Eventually(t, func() bool { return p.Health() != nil }, 10*time.Second, time.Millisecond)
			require.ErrorContains(t, p.Health(), "shaken hands")
			cancel()
			require.ErrorIs(t, <-sent, context.Canceled)
		})
	}
}
