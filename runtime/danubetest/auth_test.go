package danubetest_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

var secret = []byte("a secret of tests")

// bearer sends metadata with every call.
type bearer map[string]string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return b, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

func withToken(token string) bearer { return bearer{"authorization": "Bearer " + token} }

// dialURL connects as the URL says: with TLS if it begins with https, in which case the broker's own authority is trusted.
func dialURL(t testing.TB, b *danubetest.Broker, url string, md bearer) *grpc.ClientConn {
	t.Helper()
	scheme, address, _ := strings.Cut(url, "://")
	transport := insecure.NewCredentials()
	if scheme == "https" {
		pool := x509.NewCertPool()
		require.True(t, pool.AppendCertsFromPEM(b.RootCA()))
		transport = credentials.NewClientTLSFromCert(pool, "")
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport), grpc.WithPerRPCCredentials(md))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// secureClient connects to a secured broker with a token for name.
func secureClient(t testing.TB, b *danubetest.Broker, auth danubetest.Auth, name string) *client {
	t.Helper()
	md := withToken(auth.Token(name, time.Hour))
	return newClient(t, b, dialURL(t, b, b.URL(), md), dialURL(t, b, b.AdminURL(), md))
}

// lines is a log that may be written and read at once.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// count is how many lines contain text.
func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func logTo(l *lines) danubetest.Option {
	return danubetest.Logger(slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn})))
}

func TestDB38TokensAndPermissions(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: secret, Bindings: []danubetest.Binding{
		{Principal: "app", Permissions: []danubetest.Permission{danubetest.Lookup, danubetest.Produce, danubetest.Consume}, Namespace: "/default"},
		{Principal: "app", Permissions: []danubetest.Permission{danubetest.Consume}, Cluster: true},
		{Principal: "half", Permissions: []danubetest.Permission{danubetest.Consume}, Topic: orders},
	}, SuperAdmins: []string{"root"}}
	b := danubetest.Start(t, danubetest.Secure(auth))
	require.True(t, strings.HasPrefix(b.URL(), "https://"), b.URL())
	require.True(t, strings.HasPrefix(b.AdminURL(), "http://"), b.AdminURL())

	app := secureClient(t, b, auth, "app")
	p := app.producer(orders, "p", reliable)
	found, err := app.TopicLookup(app.ctx, &danubepb.TopicLookupRequest{Topic: orders})
	require.NoError(t, err)
	require.Equal(t, b.URL(), found.GetConnectUrl())
	r := app.consume(orders, "s", "c", exclusive)
	p.send("m000")
	r.consumeAll("m000")

	stranger := secureClient(t, b, auth, "stranger")
	_, err = stranger.CreateProducer(stranger.ctx, &danubepb.ProducerRequest{TopicName: orders, ProducerName: "x", DispatchStrategy: reliable})
	requireStatus(t, err, codes.PermissionDenied, "no binding grants Produce on Topic(/default/orders) for service_account:stranger")

	half := secureClient(t, b, auth, "half")
	id := half.subscribe(orders, "t", "c", exclusive)
	stream, err := half.ReceiveMessages(half.ctx, &danubepb.ReceiveRequest{ConsumerId: id})
	require.NoError(t, err)
	_, err = stream.Recv()
	requireStatus(t, err, codes.PermissionDenied, "no binding grants Consume on Cluster for service_account:half")

	root := secureClient(t, b, auth, "root")
	require.NoError(t, root.createTopic("/default/made"))
	app.requireTokenOnAdminPort()
}

// requireTokenOnAdminPort checks that the admin port demands a token although it is plain text.
func (c *client) requireTokenOnAdminPort() {
	c.t.Helper()
	conn := dialURL(c.t, c.broker, c.broker.AdminURL(), nil)
	_, err := adminpb.NewBrokerAdminClient(conn).ListBrokers(c.ctx, &adminpb.Empty{})
	requireStatus(c.t, err, codes.Unauthenticated, "Authentication credentials are missing")
}

func TestSecurePartitionsNeedTheirOwnBinding(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: secret, Bindings: []danubetest.Binding{
		{Principal: "app", Permissions: []danubetest.Permission{danubetest.Produce}, Topic: orders},
	}}
	b := danubetest.Start(t, danubetest.Secure(auth))
	app := secureClient(t, b, auth, "app")
	_, err := app.CreateProducer(app.ctx, &danubepb.ProducerRequest{TopicName: orders + "-part-0", ProducerName: "x"})
	requireStatus(t, err, codes.PermissionDenied, "no binding grants Produce on Topic(/default/orders-part-0)")
	app.producer(orders, "p", reliable)
}

// forge makes a token of any header and claims.
func forge(key []byte, header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(claims))
	return signed + "." + encode(sign(key, signed))
}

const hs256 = `{"alg":"HS256","typ":"JWT"}`

func TestSecureTokens(t *testing.T) {
	t.Parallel()
	var log lines
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}, AdminTLS: true}
	b := danubetest.Start(t, danubetest.Secure(auth), logTo(&log))
	claims := func(change ...string) string {
		c := `{"iss":"anybody","exp":4000000000,"sub":"1","principal_type":"user","principal_name":"root"}`
		return strings.NewReplacer(change...).Replace(c)
	}
	good := auth.Token("root", time.Hour)
	for name, tt := range map[string]struct {
		md   bearer
		code codes.Code
		text string
	}{
		"good":                  {withToken(good), codes.OK, ""},
		"lower case":            {bearer{"authorization": "bearer " + good}, codes.OK, ""},
		"30 s late":             {withToken(auth.Token("root", -30*time.Second)), codes.OK, ""},
		"any issuer":            {withToken(forge(secret, hs256, claims())), codes.OK, ""},
		"no header":             {nil, codes.Unauthenticated, "Authentication credentials are missing"},
		"other scheme":          {bearer{"authorization": "Basic " + good}, codes.Unauthenticated, "Authentication credentials are missing"},
		"2 minutes late":        {withToken(auth.Token("root", -2*time.Minute)), codes.Unauthenticated, "Invalid token: it has expired"},
		"other secret":          {withToken(danubetest.Auth{Secret: []byte("x")}.Token("root", time.Hour)), codes.Unauthenticated, "Invalid token: its signature is wrong"},
		"not a token":           {withToken("secret"), codes.Unauthenticated, "Invalid token: it is not a JSON web token"},
		"empty":                 {withToken(""), codes.Unauthenticated, "Invalid token: it is not a JSON web token"},
		"unsigned":              {withToken(forge(nil, `{"alg":"none"}`, claims())), codes.Unauthenticated, "other algorithms are not accepted"},
		"no header object":      {withToken(forge(secret, `7`, claims())), codes.Unauthenticated, "it is not a JSON web token"},
		"no claims object":      {withToken(forge(secret, hs256, `[]`)), codes.Unauthenticated, "it is not a JSON web token"},
		"no issuer":             {withToken(forge(secret, hs256, claims(`"iss":"anybody",`, ""))), codes.Unauthenticated, "Invalid token: iss: it lacks a claim"},
		"no subject":            {withToken(forge(secret, hs256, claims(`"sub":"1",`, ""))), codes.Unauthenticated, "Invalid token: sub: it lacks a claim"},
		"no end":                {withToken(forge(secret, hs256, claims(`"exp":4000000000,`, ""))), codes.Unauthenticated, "Invalid token: exp: it lacks a claim"},
		"end in words":          {withToken(forge(secret, hs256, claims(`4000000000`, `"never"`))), codes.Unauthenticated, "Invalid token: exp: it lacks a claim"},
		"no type":               {withToken(forge(secret, hs256, claims(`"principal_type":"user",`, ""))), codes.Unauthenticated, "Invalid token: principal_type: it lacks a claim"},
		"unknown type":          {withToken(forge(secret, hs256, claims(`"user"`, `"cat"`))), codes.Unauthenticated, "Invalid token: principal_type: it lacks a claim"},
		"no name":               {withToken(forge(secret, hs256, claims(`"principal_name"`, `"x"`))), codes.Unauthenticated, "Invalid token: principal_name: it lacks a claim"},
		"claims to be a broker": {bearer{"x-danube-internal-broker": "broker/1"}, codes.Unauthenticated, "Authentication credentials are missing"},
		"nobody, as a broker":   {bearer{"x-danube-internal-broker": "broker/1", "authorization": "Bearer " + auth.Token("nobody", time.Hour)}, codes.PermissionDenied, "no binding grants Lookup on Topic(/default/orders) for service_account:nobody"},
		"good, and as a broker": {bearer{"x-danube-internal-broker": "broker/1", "authorization": "Bearer " + good}, codes.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			api, admin := dialURL(t, b, b.URL(), tt.md), dialURL(t, b, b.AdminURL(), tt.md)
			_, err := danubepb.NewDiscoveryClient(api).TopicPartitions(t.Context(), &danubepb.TopicLookupRequest{Topic: orders})
			requireStatus(t, err, tt.code, tt.text)
			if tt.code != codes.PermissionDenied {
				_, err = adminpb.NewBrokerAdminClient(admin).ListBrokers(t.Context(), &adminpb.Empty{})
				requireStatus(t, err, tt.code, tt.text)
			}
		})
	}
	for _, once := range []string{"it has expired; make a new one", "its signature is wrong; sign it with", "call without a token", "iss: it lacks a claim"} {
		require.Equal(t, 1, log.count(once), once)
	}
}

func TestSecureWithoutASecretAnswersNobody(t *testing.T) {
	t.Parallel()
	var log lines
	b := danubetest.Start(t, danubetest.Secure(danubetest.Auth{SuperAdmins: []string{"root"}}), logTo(&log))
	for range 2 {
		conn := dialURL(t, b, b.URL(), withToken(danubetest.Auth{}.Token("root", time.Hour)))
		_, err := danubepb.NewDiscoveryClient(conn).TopicPartitions(t.Context(), &danubepb.TopicLookupRequest{Topic: orders})
		requireStatus(t, err, codes.FailedPrecondition, "JWT")
	}
	require.Equal(t, 1, log.count("no secret to check tokens with"))
}

func TestSecurePlainTextToATLSPortAndTheReverse(t *testing.T) {
	t.Parallel()
	var log lines
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}}
	b := danubetest.Start(t, danubetest.Secure(auth), logTo(&log))
	md := withToken(auth.Token("root", time.Hour))
	call := func(conn *grpc.ClientConn) error {
		_, err := danubepb.NewDiscoveryClient(conn).TopicPartitions(t.Context(), &danubepb.TopicLookupRequest{Topic: orders})
		return err
	}
	for range 2 {
		err := call(dialURL(t, b, strings.Replace(b.URL(), "https:", "http:", 1), md))
		requireStatus(t, err, codes.Unavailable, "")
		err = call(dialURL(t, b, strings.Replace(b.AdminURL(), "http:", "https:", 1), md))
		requireStatus(t, err, codes.Unavailable, "")
		conn, dialErr := grpc.NewClient(strings.TrimPrefix(b.URL(), "https://"),
			grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(x509.NewCertPool(), "")))
		require.NoError(t, dialErr)
		requireStatus(t, call(conn), codes.Unavailable, "certificate")
		require.NoError(t, conn.Close())
	}
	require.NoError(t, call(dialURL(t, b, b.URL(), md)))
	b.Close() // every connection has been handled
	require.Equal(t, 1, log.count("client speaks plain text to a port with TLS"))
	require.Equal(t, 1, log.count("client speaks TLS to a port without"))
	require.Equal(t, 1, log.count("client refuses the certificate"))
	require.Equal(t, 3, log.count("mend="))
}

func TestSecureAdminTLSAndWildcardAddress(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}, AdminTLS: true}
	b, err := danubetest.New(danubetest.Secure(auth))
	require.NoError(t, err)
	t.Cleanup(b.Close)
	api, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.Serve(api, admin))
	require.True(t, strings.HasPrefix(b.AdminURL(), "https://"), b.AdminURL())
	c := secureClient(t, b, auth, "root")
	require.NoError(t, c.createTopic(orders))
	found, err := c.TopicLookup(c.ctx, &danubepb.TopicLookupRequest{Topic: orders})
	require.NoError(t, err)
	require.Equal(t, b.URL(), found.GetConnectUrl())
	require.True(t, strings.HasPrefix(found.GetConnectUrl(), "https://"))
}

// A token that ends while its holder stays connected is refused at the next call, on the broker's clock.
func TestSecureTokenEndsInMidConnection(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}}
	secureBubble(t, auth, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		time.Sleep(time.Hour + 60*time.Second)
		p.send("m000")
		time.Sleep(time.Second)
		_, err := c.SendMessage(c.ctx, p.message("m001"))
		requireStatus(t, err, codes.Unauthenticated, "Invalid token: it has expired")
	})
}

func TestSecureOptions(t *testing.T) {
	t.Parallel()
	allowed := []danubetest.Permission{danubetest.Produce}
	for want, a := range map[string]danubetest.Auth{
		"binding 1: principal is missing":         {Bindings: []danubetest.Binding{{Permissions: allowed, Cluster: true}}},
		"binding 1: app is granted no permission": {Bindings: []danubetest.Binding{{Principal: "app", Cluster: true}}},
		`unknown permission "Fly"; the permissions are Lookup, Produce`: {Bindings: []danubetest.Binding{
			{Principal: "app", Permissions: []danubetest.Permission{"Fly"}, Cluster: true},
		}},
		"app has 0 scopes; set one of topic, namespace and cluster": {Bindings: []danubetest.Binding{{Principal: "app", Permissions: allowed}}},
		"app has 2 scopes":          {Bindings: []danubetest.Binding{{Principal: "app", Permissions: allowed, Cluster: true, Topic: orders}}},
		"a super admin has no name": {SuperAdmins: []string{""}},
	} {
		_, err := danubetest.New(danubetest.Secure(a))
		require.ErrorContains(t, err, want)
	}
	_, err := danubetest.New(danubetest.Secure(danubetest.Auth{}), danubetest.AdvertisedURL("http://broker:6650"))
	require.ErrorContains(t, err, "the port has TLS; write it with https://")
	require.Nil(t, danubetest.Start(t).RootCA())
}

func TestSecureMissingMessageID(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: secret}
	b := danubetest.Start(t, danubetest.Secure(auth))
	c := secureClient(t, b, auth, "nobody")
	_, err := c.SendMessage(c.ctx, &danubepb.StreamMessage{})
	requireStatus(t, err, codes.InvalidArgument, "msg_id is required")
	_, err = c.SendMessage(metadata.AppendToOutgoingContext(c.ctx, "x", "y"), &danubepb.StreamMessage{MsgId: &danubepb.MsgID{}})
	requireStatus(t, err, codes.PermissionDenied, "no binding grants Produce on Topic()")
}
