package danube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// WithRootCAs sets who may have signed the certificate of a broker with an https:// URL. The default is whom the system trusts.
func WithRootCAs(roots *x509.CertPool) Option { return func(c *Client) { c.roots = roots } }

// WithToken sends a token with every call. token is asked before each of them, concurrently, and should answer from memory; it may give
// another token when the old one is about to expire. Over http:// the token can be read by whoever reads the network.
func WithToken(token func(context.Context) (string, error)) Option {
	return func(c *Client) { c.token = token }
}

// transport is how connections are protected.
func (c *Client) transport() credentials.TransportCredentials {
	if !c.secure {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.roots})
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
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity returns false: brokers demand a token on an admin port that is plain text, too.
func (Bearer) RequireTransportSecurity() bool { return false }
