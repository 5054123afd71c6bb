package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// credentialOptions say how a command shows who it is, and whom it takes for a broker.
type credentialOptions struct {
	caFile    string
	tokenFile string
}

func (o *credentialOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.caFile, "ca-file", "", "PEM `FILE` of who signed the broker's certificate; without it whom the system trusts")
	cmd.Flags().StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token of a broker that demands one")
}

// roots reads the certificates of --ca-file, nil without one.
func (o *credentialOptions) roots(what string) (*x509.CertPool, error) {
	if o.caFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.caFile)
	if err != nil {
		return nil, badInput(what, fmt.Errorf("--ca-file: %w", err), "name a file that can be read")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, badInput(what, fmt.Errorf("--ca-file: %s holds no certificate", o.caFile), "name a file in PEM format")
	}
	return pool, nil
}

// token returns what gives the token of --token-file, nil without one.
func (o *credentialOptions) token(what string) (danube.Bearer, error) {
	if o.tokenFile == "" {
		return nil, nil
	}
	t := &fileToken{file: o.tokenFile}
	if _, err := t.get(context.Background()); err != nil {
		return nil, badInput(what, fmt.Errorf("--token-file: %w", err), "name a file that holds the token alone")
	}
	return t.get, nil
}

// A fileToken is a token in a file that may be replaced while the command runs.
type fileToken struct {
	file string
	mu   sync.Mutex
	last string
	read time.Time
}

// tokenAge is how long a token is used before its file is read again.
const tokenAge = 10 * time.Second

func (t *fileToken) get(context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != "" && time.Since(t.read) < tokenAge {
		return t.last, nil
	}
	text, err := os.ReadFile(t.file)
	if err != nil {
		return "", err
	}
	token := string(bytes.TrimSpace(text))
	if token == "" {
		return "", errors.New(t.file + " is empty")
	}
	t.last, t.read = token, time.Now()
	return token, nil
}

// clientOptions are the credentials as options of a client.
func (o *credentialOptions) clientOptions(what string) (opts []danube.Option, err error) {
	roots, err := o.roots(what)
	if err != nil {
		return nil, err
	}
	token, err := o.token(what)
	if err != nil {
		return nil, err
	}
	opts = append(opts, danube.WithRootCAs(roots))
	if token != nil {
		opts = append(opts, danube.WithToken(token))
	}
	return opts, nil
}
