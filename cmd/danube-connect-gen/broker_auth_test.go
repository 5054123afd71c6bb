package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

const goodAuth = `super_admins = ["root"]
[tls]
cert_file = "server.pem"
key_file = "server-key.pem"
[jwt]
secret_key = "secret"
[[bindings]]
principal = "app"
permissions = ["Lookup"]
topic = "/default/x"
`

// authDir is a directory with a certificate for 127.0.0.1 and a file for --auth.
func authDir(t *testing.T, text string) (file string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write("server.pem", string(cert))
	write("server-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(cert))
	return write("auth.toml", text), pool
}

func TestBrokerWithAuthFile(t *testing.T) {
	t.Parallel()
	file, pool := authDir(t, goodAuth)
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- brokerRun(ctx, streams{out: in, err: io.Discard}, brokerOptions{listen: "127.0.0.1:0", like: imitation{window: 10}, auth: file})
		_ = in.Close()
	}()
	url := make([]byte, 256)
	n, err := out.Read(url)
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	address, ok := strings.CutPrefix(strings.TrimSpace(string(url[:n])), "broker ready: https://")
	require.True(t, ok, string(url[:n]))

	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})))
	require.NoError(t, err)
	defer conn.Close()
	partitions := func(name, topic string) error {
		token := danubetest.Auth{Secret: []byte("secret")}.Token(name, time.Minute)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
		_, err := danubepb.NewDiscoveryClient(conn).TopicPartitions(ctx, &danubepb.TopicLookupRequest{Topic: topic})
		return err
	}
	require.NoError(t, partitions("root", "/default/y"))
	require.NoError(t, partitions("app", "/default/x"))
	require.Equal(t, codes.PermissionDenied, status.Code(partitions("app", "/default/y")))
	stop()
	require.NoError(t, <-ended)
}

func TestBrokerAuthFileErrors(t *testing.T) {
	t.Parallel()
	for want, change := range map[string][]string{
		"unknown key super_admin":             {"super_admins", "super_admin"},
		"jwt.secret_key is missing":           {`secret_key = "secret"`, ""},
		"tls.cert_file or tls.key_file":       {`key_file = "server-key.pem"`, ""},
		"tls: open ":                          {"server.pem", "missing.pem"},
		"failed to find any PEM data in key ": {`key_file = "server-key.pem"`, `key_file = "auth.toml"`},
		`unknown permission "Lookout"`:        {"Lookup", "Lookout"},
		"app has 0 scopes":                    {`topic = "/default/x"`, ""},
		"expected":                            {"[tls]", "[tls"},
	} {
		file, _ := authDir(t, strings.Replace(goodAuth, change[0], change[1], 1))
		exit, _, errs := invoke(t, "", "broker", "--listen", "127.0.0.1:0", "--admin-listen", "", "--http", "", "--auth", file)
		require.Equal(t, exitBadInput, exit, want)
		require.Contains(t, errs, want)
		require.Equal(t, 1, strings.Count(errs, "\n"), errs)
	}
	exit, _, errs := invoke(t, "", "broker", "--auth", filepath.Join(t.TempDir(), "none.toml"))
	require.Equal(t, exitEnvironment, exit)
	require.Contains(t, errs, "name a file that can be read")
}

// The example in the help is a file that works, but for its certificate.
func TestBrokerAuthExample(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for line := range strings.Lines(authExample) {
		text.WriteString(strings.TrimSpace(line) + "\n")
	}
	file, _ := authDir(t, text.String())
	auth, err := readAuth(file)
	require.NoError(t, err)
	require.Equal(t, []string{"admin"}, auth.SuperAdmins)
	require.Equal(t, []danubetest.Binding{
		{Principal: "orders-sink", Permissions: []danubetest.Permission{danubetest.Lookup, danubetest.Consume}, Cluster: true},
	}, auth.Bindings)
}
