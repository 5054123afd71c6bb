package danube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
)

// security is how a client protects its connections and says who it is.
type security struct {
	roots       *x509.CertPool // nil for the system's
	serverName  string         // what certificates must be for; empty for the host that is dialled
	certificate func() (*tls.Certificate, error)
	tokens      *tokens // nil for none
}

// WithRootCAs sets who may have signed the certificate of a broker with an https:// URL. The default, also for nil, is whom the system
// trusts.
func WithRootCAs(roots *x509.CertPool) Option {
	return func(c *Client) error {
		c.security.roots = roots
		return nil
	}
}

// WithRootCAFile is [WithRootCAs] with the certificates of a PEM file, which New reads.
func WithRootCAFile(path string) Option {
	return func(c *Client) error {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("certificate authority: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("certificate authority: %s holds no certificate; name a file in PEM format", path)
		}
		c.security.roots = roots
		return nil
	}
}

// WithServerName sets the name that brokers' certificates must be for, where that is not the host in their URLs.
func WithServerName(name string) Option {
	return func(c *Client) error {
		c.security.serverName = name
		return nil
	}
}

// WithClientCertificate shows a certificate to brokers and proxies that ask for one. Danube brokers of v0.15 do not.
func WithClientCertificate(certificate tls.Certificate) Option {
	return func(c *Client) error {
		if len(certificate.Certificate) == 0 {
			return errors.New("client certificate: it is empty")
		}
		c.security.certificate = func() (*tls.Certificate, error) { return &certificate, nil }
		return nil
	}
}

// WithClientCertificateFiles is [WithClientCertificate] with a certificate and its key in PEM files. They are read by New and again at
// each connection, so that they can be replaced.
func WithClientCertificateFiles(certFile, keyFile string) Option {
	return func(c *Client) error {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				return nil, fmt.Errorf("client certificate: %w", err)
			}
			return &pair, nil
		}
		c.security.certificate = load
		_, err := load()
		return err
	}
}

// WithToken sends a token with every call, which token gives. It is asked at the first call, ahead of the end that a JSON web token
// names, after a minute if it names none, and when the broker does not take the token; it may be asked concurrently and need not
// remember what it gave. Over http:// the token can be read by whoever reads the network.
func WithToken(token func(context.Context) (string, error)) Option {
	return withTokens(func() (*tokens, error) {
		if token == nil {
			return nil, errors.New("token: the function is nil")
		}
		return newTokens("the token of the given function", tokenAge, token), nil
	})
}

// WithTokenValue sends the same token with every call. It cannot outlive the token: see [WithToken] and [WithTokenFile].
func WithTokenValue(token string) Option {
	return withTokens(func() (*tokens, error) {
		text, err := tokenIn(token)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		return newTokens("the given token", 0, func(context.Context) (string, error) { return text, nil }), nil
	})
}

// WithTokenFile sends the token that a file holds with every call. New reads it, and it is read again every few seconds and when the
// broker does not take the token, so that it can be replaced.
func WithTokenFile(path string) Option {
	return withTokens(func() (*tokens, error) {
		t := newTokens("the token in "+path, fileAge, readToken(path))
		_, err := t.get(context.Background())
		return t, err
	})
}

func withTokens(source func() (*tokens, error)) Option {
	return func(c *Client) (err error) {
		c.security.tokens, err = source()
		return err
	}
}

// tlsTo is the TLS side of an endpoint.
func (s *security) tlsTo(host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots, NextProtos: []string{"h2"}, ServerName: host}
	if s.serverName != "" {
		config.ServerName = s.serverName
	}
	if s.certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.certificate() }
	}
	return config
}

// Bearer puts what a function gives into the header of each call in which the broker looks for a token. It is for connections that are
// made without a [Client], such as those to the admin API.
type Bearer func(context.Context) (string, error)

var _ credentials.PerRPCCredentials = Bearer(nil)

// GetRequestMetadata returns the header.
func (b Bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b(ctx)
	if err != nil {
		return nil, fmt.Errorf("get token: %w", err)
	}
	return map[string]string{tokenHeader: "Bearer " + token}, nil
}

// RequireTransportSecurity returns false: brokers demand a token on an admin port that is plain text, too.
func (Bearer) RequireTransportSecurity() bool { return false }
