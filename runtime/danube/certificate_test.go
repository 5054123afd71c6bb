package danube_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ownCertificate is for broker.test and localhost, as a server and as a client, and its own authority. It is made once.
func ownCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	cert, err := makeCertificate()
	require.NoError(t, err)
	return cert
}

var makeCertificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"broker.test", "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// ownRoots trust it.
func ownRoots(t *testing.T) *x509.CertPool {
	t.Helper()
	leaf, err := x509.ParseCertificate(ownCertificate(t).Certificate[0])
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool
}

// certificateFiles writes it and its key in PEM format.
func certificateFiles(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	cert := ownCertificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	return certFile, keyFile
}

// demandCertificate serves TLS that asks for a client's certificate, and nothing more.
func demandCertificate(t *testing.T) func(net.Conn) {
	config := &tls.Config{
		Certificates: []tls.Certificate{ownCertificate(t)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ownRoots(t),
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
	}
	return func(c net.Conn) { _ = tls.Server(c, config).Handshake() } // it fails on purpose
}
