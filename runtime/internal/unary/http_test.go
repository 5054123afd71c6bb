package unary_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// echoHTTP is gRPC by hand on net/http: a request comes back as it is, and "fail" fails.
func echoHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) < 5 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	if string(body[5:]) == "fail" {
		w.Header().Set("Grpc-Status", "9") // trailers only
		w.Header().Set("Grpc-Message", "as%20asked")
		return
	}
	_, _ = w.Write(body) // an error is the client's business
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

func serveHTTP(t *testing.T, secure bool, protocols ...string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(echoHTTP))
	if secure {
		s.EnableHTTP2 = len(protocols) == 0
		s.TLS = &tls.Config{NextProtos: protocols}
		s.StartTLS()
	} else {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func roots(s *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{RootCAs: pool}
}

func TestNetHTTPServer(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := serveHTTP(t, secure)
		c := unary.Config{Addr: s.Listener.Addr().String()}
		if secure {
			c.TLS = roots(s)
		}
		p := connect(t, nil, c)
		var wg sync.WaitGroup
		for g := range 300 { // more than the server takes at once
			wg.Go(func() {
				for i := range 4 {
					want := bytes.Repeat([]byte{byte(g), byte(i)}, 1+g*i*8)
					got, err := call(t, p, want)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("call %d of %d: %v, %d bytes instead of %d", i, g, err, len(got), len(want))
					}
				}
			})
		}
		wg.Wait()
		_, err := call(t, p, []byte("fail"))
		require.Equal(t, status.Error(codes.FailedPrecondition, "as asked").Error(), err.Error())
		big := bytes.Repeat([]byte("x"), 3<<20)
		got, err := call(t, p, big)
		require.NoError(t, err)
		require.True(t, bytes.Equal(big, got))
		require.NoError(t, p.Broken())
	}
}

func TestServersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	secure, plain := serveHTTP(t, true), serveHTTP(t, false)
	http1 := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(http1.Close)
	tests := map[string]struct {
		server *httptest.Server
		tls    *tls.Config
		text   string
		broken bool
	}{
		"an unknown authority":     {secure, &tls.Config{}, "unknown authority", false},
		"plain text where TLS is":  {secure, nil, "as one does that wants TLS", false},
		"TLS where plain text is":  {plain, roots(secure), "tls", false},
		"HTTP/1 by ALPN":           {serveHTTP(t, true, "http/1.1"), roots(secure), "no application protocol", false},
		"HTTP/1 with no TLS":       {http1, nil, "HTTP/1", true},
		"nobody":                   {&httptest.Server{}, nil, "refused", false},
		"a certificate of another": {secure, &tls.Config{RootCAs: roots(secure).RootCAs, ServerName: "other.example.org"}, "other.example.org", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := "127.0.0.1:1"
			if tt.server.Listener != nil {
				addr = tt.server.Listener.Addr().String()
			}
			p := connect(t, nil, unary.Config{Addr: addr, TLS: tt.tls})
			_, err := call(t, p, []byte("x"))
			require.Equal(t, codes.Unavailable, status.Code(err))
			require.ErrorContains(t, err, tt.text)
			require.Equal(t, tt.broken, p.Broken() != nil)
			if tt.broken {
				require.ErrorIs(t, err, unary.ErrProtocol)
			}
		})
	}
}

// A TLS server that knows nothing of ALPN chooses nothing; it may well speak HTTP/2, but does not say so.
func TestTLSWithoutALPN(t *testing.T) {
	t.Parallel()
	s := serveHTTP(t, true)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: s.TLS.Certificates})
	require.NoError(t, err)
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c) // until the client hangs up
			c.Close()
		}
	}()
	p := connect(t, nil, unary.Config{Addr: l.Addr().String(), TLS: roots(s)})
	_, err = call(t, p, nil)
	require.ErrorIs(t, err, unary.ErrProtocol)
	require.ErrorContains(t, err, `protocol "" instead of h2`)
}

// Nothing is allocated for a call that is used again, nor for its answer.
func TestAllocations(t *testing.T) {
	s := serveNothingAt(t)
	p := connect(t, nil, unary.Config{Addr: s})
	done := make(chan struct{}, 1)
	h, err := unary.NewHeader("authorization", "Bearer "+strings.Repeat("x", 800))
	require.NoError(t, err)
	c := &unary.Call{Method: method, Header: h, Request: make([]byte, 1100), Owner: unary.Func(func(*unary.Call) { done <- struct{}{} })}
	once := func() {
		c.Deadline = time.Now().Add(time.Minute)
		p.Start(c)
		<-done
		if c.Code != codes.OK {
			t.Error(c.Err())
		}
	}
	for range 100 {
		once()
	}
	require.Less(t, testing.AllocsPerRun(2000, once), 0.5)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.Less(t, testing.AllocsPerRun(2000, func() {
		if _, err := p.Invoke(ctx, method, h, c.Request); err != nil {
			t.Error(err)
		}
	}), 1.5, "the answer is the caller's")
}
