package danube_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

var testAuth = danubetest.Auth{Secret: []byte("secret"), SuperAdmins: []string{"root"}}

// register makes a producer and returns what its registration comes to.
func register(t *testing.T, url, topic string, opts ...danube.Option) error {
	t.Helper()
	c, err := danube.New(url, opts...)
	require.NoError(t, err)
	defer c.Close()
	p, err := c.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	return p.Register(ctx)
}

func rootsOf(t *testing.T, b *danubetest.Broker) danube.Option {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(b.RootCA()))
	return danube.WithRootCAs(pool)
}

// listen serves every connection with serve until the test ends, and gives the address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close() // it can only be closed already
		<-done
	})
	return l.Addr().String()
}

// TestWhatCannotSucceedIsSaidOnce has everything that only another configuration mends: each is given up at once, typed, with the mend.
func TestWhatCannotSucceedIsSaidOnce(t *testing.T) {
	t.Parallel()
	plain := danubetest.Start(t)
	secured := danubetest.Start(t, danubetest.Secure(testAuth))
	roots := rootsOf(t, secured)
	token := danube.WithTokenValue(testAuth.Token("root", time.Hour))
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	ssh := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n"); _, _ = io.Copy(io.Discard, c) })
	alerting := listen(t, func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 10}) })
	demanding := listen(t, demandCertificate(t))
	old := listen(t, func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{ownCertificate(t)}}).Handshake()
	})
	other := danubetest.Start(t, danubetest.Secure(danubetest.Auth{Secret: []byte("another"), SuperAdmins: []string{"root"}}))

	tests := map[string]struct {
		url   string
		topic string
		opts  []danube.Option
		kind  error
		text  string
		mend  string
	}{
		"web server":        {url: web.URL, kind: danube.ErrNotBroker, text: "does not speak HTTP/2", mend: "6650 for clients"},
		"other service":     {url: "http://" + ssh, kind: danube.ErrNotBroker, text: "does not speak HTTP/2", mend: "6650 for clients"},
		"TLS to that":       {url: strings.Replace(web.URL, "http:", "https:", 1), kind: danube.ErrNotBroker, text: "does not speak HTTP/2", mend: "6650 for clients"},
		"admin port":        {url: plain.AdminURL(), kind: danube.ErrNotBroker, text: "unknown service danube.Discovery", mend: "6650 for clients"},
		"TLS to plain text": {url: "https" + strings.TrimPrefix(plain.URL(), "http"), kind: danube.ErrNotBroker, text: "speaks plain text", mend: "write http://"},
		"plain text to TLS": {url: "http" + strings.TrimPrefix(secured.URL(), "https"), kind: danube.ErrNotBroker, text: "speaks TLS", mend: "write https://"},
		"TLS alert":         {url: "http://" + alerting, kind: danube.ErrNotBroker, text: "speaks TLS", mend: "write https://"},
		"old TLS":           {url: "https://" + old, kind: danube.ErrNotBroker, text: "protocol version", mend: "1.2 or later"},
		"unknown authority": {url: secured.URL(), opts: []danube.Option{token}, kind: danube.ErrNotBroker, text: "unknown authority", mend: "certificate of the authority"},
		"wrong host name": {
			url: secured.URL(), opts: []danube.Option{roots, token, danube.WithServerName("broker.example")},
			kind: danube.ErrNotBroker, text: "not broker.example", mend: "by a host that its certificate is for",
		},
		"no client certificate": {
			url: "https://" + demanding, opts: []danube.Option{danube.WithRootCAs(ownRoots(t))},
			kind: danube.ErrNotBroker, text: "certificate required", mend: "give the client a certificate",
		},
		"no token": {url: secured.URL(), opts: []danube.Option{roots}, kind: danube.ErrToken, text: "credentials are missing", mend: "give the client a token"},
		"expired token": {
			url: secured.URL(), opts: []danube.Option{roots, danube.WithTokenValue(testAuth.Token("root", -time.Hour))},
			kind: danube.ErrToken, text: "the given token, which ended at 20", mend: "that has not expired",
		},
		"token of another broker": {
			url: other.URL(), opts: []danube.Option{rootsOf(t, other), token},
			kind: danube.ErrToken, text: "the broker does not take the given token: Invalid token", mend: "signed with this broker's secret",
		},
		"token too long": {
			url: secured.URL(), opts: []danube.Option{roots, danube.WithTokenValue(strings.Repeat("x", 20_000))},
			kind: danube.ErrToken, text: "header list size", mend: "use a shorter token",
		},
		"no right": {
			url: secured.URL(), opts: []danube.Option{roots, danube.WithTokenValue(testAuth.Token("nobody", time.Hour))},
			kind: danube.ErrDenied, text: "no binding grants Lookup", mend: "bind the permission",
		},
		"missing namespace": {url: plain.URL(), topic: "/nowhere/orders", kind: danube.ErrNoNamespace, text: "Unable to find the namespace nowhere", mend: "create the namespace"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.topic == "" {
				tt.topic = topic
			}
			err := register(t, tt.url, tt.topic, tt.opts...)
			require.True(t, danube.IsPermanent(err), "%v", err)
			require.ErrorIs(t, err, tt.kind)
			require.ErrorContains(t, err, tt.text)
			require.ErrorContains(t, err, tt.mend)
			require.NotContains(t, err.Error(), "\n")
			require.Contains(t, err.Error(), tt.topic)
		})
	}
}

func TestWhatMayComeToLifeIsWaitedFor(t *testing.T) {
	t.Parallel()
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	closing := listen(t, func(net.Conn) {})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	tests := map[string]struct{ url, text, mend string }{
		"refused":          {"http://" + closed.Addr().String(), "connection refused", "start the broker"},
		"refused with TLS": {"https://" + closed.Addr().String(), "connection refused", "start the broker"},
		"no such host":     {"http://broker.invalid:6650", "broker.invalid", ""},
		"closing":          {"http://" + closing, "closes them or says nothing", "see whether a broker runs"},
		"closing with TLS": {"https://" + closing, "closes them or says nothing", "see whether a broker runs"},
		"silent":           {"http://" + silent, "closes them or says nothing", "see whether a broker runs"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := danube.New(tt.url)
			require.NoError(t, err)
			defer c.Close()
			p, err := c.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p"})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() { result <- p.Register(ctx) }()
			require.Eventually(t, func() bool { return p.Health() != nil }, 20*time.Second, time.Millisecond)
			require.False(t, danube.IsPermanent(p.Health()), "%v", p.Health())
			require.ErrorContains(t, p.Health(), tt.text)
			require.ErrorContains(t, p.Health(), tt.mend)
			if strings.HasPrefix(name, "refused") {
				require.ErrorIs(t, p.Health(), syscall.ECONNREFUSED)
			}
			cancel()
			require.ErrorIs(t, <-result, context.Canceled)
		})
	}
}

// A relay dials an address that can be changed, and can cut what it has dialled.
type relay struct {
	mu    sync.Mutex
	to    string
	conns []net.Conn
}

func (r *relay) dial(ctx context.Context, _ string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.to)
	if err == nil {
		r.conns = append(r.conns, conn)
	}
	return conn, err
}

func (r *relay) divert(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = to
	for _, conn := range r.conns {
		_ = conn.Close() // it may be closed already
	}
	r.conns = nil
}

func TestABrokerThatOnceAnsweredIsWaitedForWhateverHappensToItsPort(t *testing.T) {
	t.Parallel()
	secured, plain := danubetest.Start(t, danubetest.Secure(testAuth)), danubetest.Start(t)
	home := strings.TrimPrefix(secured.URL(), "https://")
	r := &relay{to: home}
	c, err := danube.New(secured.URL(), rootsOf(t, secured), danube.WithTokenValue(testAuth.Token("root", time.Hour)), danube.WithDialer(r.dial))
	require.NoError(t, err)
	defer c.Close()
	p, err := c.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, p.Send(ctx, danube.Message{}))

	r.divert(strings.TrimPrefix(plain.URL(), "http://"))
	sent := make(chan error)
	go func() { sent <- p.Send(ctx, danube.Message{}) }()
	require.Eventually(t, func() bool { return strings.Contains(errorText(p.Health()), "handshake") }, 10*time.Second, time.Millisecond)
	require.False(t, danube.IsPermanent(p.Health()), "%v", p.Health())
	r.divert(home)
	require.NoError(t, <-sent)
}

func TestBadURLsAndOptions(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                             "http://localhost:6650",
		"localhost:6650":               "http://localhost:6650",
		"grpc://localhost:6650":        "http://localhost:6650",
		"http://":                      "http://localhost:6650",
		"http://localhost:6650/x":      "http://localhost:6650",
		"http://localhost:6650?a=b":    "http://localhost:6650",
		"http://localhost:6650#a":      "http://localhost:6650",
		"http://me:geheim@localhost:1": "http://localhost:6650",
		"http://localhost:0":           "within 1 to 65535",
		"http://localhost:65536":       "within 1 to 65535",
		"http://local\x00host":         "http://localhost:6650",
	} {
		_, err := danube.New(url)
		require.ErrorContains(t, err, want, "%q", url)
		require.NotContains(t, err.Error(), "geheim")
	}
	for _, url := range []string{"http://localhost", "http://LOCALHOST:6650/", "https://[::1]:6650"} {
		_, err := danube.New(url)
		require.NoError(t, err, url)
	}
	dir := t.TempDir()
	for want, opt := range map[string]danube.Option{
		"none.pem":                                      danube.WithRootCAFile(dir + "/none.pem"),
		"badinput_test.go holds no certificate":         danube.WithRootCAFile("badinput_test.go"),
		"client certificate: it is empty":               danube.WithClientCertificate(tls.Certificate{}),
		"client certificate: open " + dir + "/none":     danube.WithClientCertificateFiles(dir+"/none", dir+"/none"),
		"token: it is empty":                            danube.WithTokenValue(" \n"),
		"token: it holds more than a token":             danube.WithTokenValue("two words"),
		"token: the function is nil":                    danube.WithToken(nil),
		"the token in " + dir + "/none cannot be had":   danube.WithTokenFile(dir + "/none"),
		"badinput_test.go cannot be had: it holds more": danube.WithTokenFile("badinput_test.go"),
	} {
		_, err := danube.New("https://localhost:6650", opt)
		require.ErrorContains(t, err, want)
	}
}

func TestT24OversizedMessagesAreRefusedHere(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		err := b.producer(0).Send(b.ctx(), danube.Message{Payload: bytes.Repeat([]byte("x"), 4<<20)})
		require.True(b, danube.IsPermanent(err))
		require.ErrorIs(b, err, danube.ErrTooLarge)
		require.ErrorContains(b, err, "send less, or split it")
		var typed *danube.Error
		require.True(b, errors.As(err, &typed))
		require.Equal(b, topic, typed.Topic)
	})
}
