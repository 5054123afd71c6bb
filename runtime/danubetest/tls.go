package danubetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// RootCA is the PEM of the certificate that clients have to trust, when [Auth] gave none: the broker then made one for localhost,
// 127.0.0.1 and ::1. Otherwise it is nil.
func (b *Broker) RootCA() []byte {
	if b.settings.gate == nil {
		return nil
	}
	return b.settings.gate.rootCA
}

// certificateLife is long enough for any test and any day of development.
const certificateLife = 10 * 365 * 24 * time.Hour

// selfSigned makes a certificate for this machine, which is its own authority.
func selfSigned() (cert tls.Certificate, rootCA []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "danubetest"},
		NotBefore:             time.Now().Add(-time.Hour), // clocks differ
		NotAfter:              time.Now().Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return cert, nil, err
	}
	rootCA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, rootCA, nil
}

// tellingTLS are server credentials that log what is wrong with clients which fail to shake hands, once each.
type tellingTLS struct {
	credentials.TransportCredentials
	broker *Broker
}

// transport is TLS for one port.
func (b *Broker) transport() credentials.TransportCredentials {
	return tellingTLS{credentials.NewTLS(b.settings.gate.tlsConfig()), b}
}

func (g *gate) tlsConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{g.certificate}, MinVersion: tls.VersionTLS12}
}

func (t tellingTLS) Clone() credentials.TransportCredentials {
	return tellingTLS{t.TransportCredentials.Clone(), t.broker}
}

func (t tellingTLS) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ServerHandshake(raw)
	var plain tls.RecordHeaderError
	var sent *net.OpError
	switch {
	case errors.As(err, &plain):
		t.broker.wrongPort.warn(t.broker.log, "plain", "client speaks plain text to a port with TLS",
			"client", raw.RemoteAddr().String(), "mend", "give it a URL with https:// and the authority's certificate")
	case errors.As(err, &sent) && sent.Op == "remote error":
		t.broker.wrongPort.warn(t.broker.log, "refused", "client refuses the certificate",
			"client", raw.RemoteAddr().String(), "error", err, "mend", "give the client the certificate of the authority, and dial a name that the server's has")
	}
	return conn, info, err
}

// A plainListener is for a port without TLS. It logs the first client that tries to speak it.
type plainListener struct {
	net.Listener
	broker *Broker
}

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &plainConn{Conn: c, broker: l.broker}, nil
}

type plainConn struct {
	net.Conn
	broker *Broker
	read   bool // something was; only the connection's reader uses it
}

// tlsHandshake is the first byte that a client with TLS sends.
const tlsHandshake = 0x16

func (c *plainConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.read {
		c.read = true
		if p[0] == tlsHandshake {
			c.broker.wrongPort.warn(c.broker.log, "tls", "client speaks TLS to a port without",
				"client", c.RemoteAddr().String(), "mend", "give it a URL with http://, or give the broker a certificate")
		}
	}
	return n, err
}

// listening is the listener of a port as it is served.
func (b *Broker) listening(l net.Listener, admin bool) net.Listener {
	if b.secured(admin) {
		return l
	}
	return plainListener{l, b}
}

// securityOptions are what a port adds to a server when [Secure] is on.
func (b *Broker) securityOptions(admin bool) []grpc.ServerOption {
	if b.settings.gate == nil {
		return nil
	}
	opts := []grpc.ServerOption{grpc.ChainUnaryInterceptor(b.gateCall), grpc.ChainStreamInterceptor(b.gateStream)}
	if b.secured(admin) {
		opts = append(opts, grpc.Creds(b.transport()))
	}
	return opts
}

// secured says whether a port has TLS.
func (b *Broker) secured(admin bool) bool {
	return b.settings.gate != nil && (!admin || b.settings.gate.adminTLS)
}

// withScheme makes the URL of a port with TLS from that of one without.
func withScheme(u string, secured bool) string {
	if rest, ok := strings.CutPrefix(u, "http://"); ok && secured {
		return "https://" + rest
	}
	return u
}
