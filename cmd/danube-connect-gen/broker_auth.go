package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// authFile is the content of the file of --auth. Its first three parts have the keys of the real broker's configuration.
type authFile struct {
	SuperAdmins []string `toml:"super_admins"`
	AdminTLS    bool     `toml:"admin_tls"`
	TLS         struct {
		CertFile string `toml:"cert_file"`
		KeyFile  string `toml:"key_file"`
	} `toml:"tls"`
	JWT struct {
		SecretKey string `toml:"secret_key"`
	} `toml:"jwt"`
	Bindings []struct {
		Principal   string                  `toml:"principal"`
		Permissions []danubetest.Permission `toml:"permissions"`
		Topic       string                  `toml:"topic"`
		Namespace   string                  `toml:"namespace"`
		Cluster     bool                    `toml:"cluster"`
	} `toml:"bindings"`
}

// authExample is shown when a file of --auth is wrong or asked for.
const authExample = `  super_admins = ["admin"]      # may do everything
  admin_tls = false             # TLS on the admin port and the status page too
  [tls]
  cert_file = "server.pem"      # paths are relative to this file
  key_file = "server-key.pem"
  [jwt]
  secret_key = "change me"      # tokens are signed with it, HS256
  [[bindings]]                  # as many as needed
  principal = "orders-sink"     # principal_name of the token
  permissions = ["Lookup", "Consume"]
  cluster = true                # or topic = "/default/orders", or namespace = "default"`

// readAuth reads a file of --auth. A key that is not known is an error: a right that is spelled wrong must not go unnoticed.
func readAuth(path string) (danubetest.Auth, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return danubetest.Auth{}, &failure{
			exit: exitEnvironment, code: "cannot_read", what: "broker", err: fmt.Errorf("--auth: %w", err), mend: "name a file that can be read",
		}
	}
	auth, err := parseAuth(string(text), filepath.Dir(path))
	if err != nil {
		return danubetest.Auth{}, badInput("broker", fmt.Errorf("--auth %s: %w", path, err), "see danube-connect-gen broker --help for an example")
	}
	return auth, nil
}

func parseAuth(text, dir string) (auth danubetest.Auth, err error) {
	var f authFile
	meta, err := toml.Decode(text, &f)
	if err != nil {
		return auth, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return auth, fmt.Errorf("unknown key %s", unknown[0])
	}
	switch {
	case f.JWT.SecretKey == "":
		return auth, errors.New("jwt.secret_key is missing; without it no token can be checked")
	case f.TLS.CertFile == "" || f.TLS.KeyFile == "":
		return auth, errors.New("tls.cert_file or tls.key_file is missing")
	}
	auth = danubetest.Auth{Secret: []byte(f.JWT.SecretKey), SuperAdmins: f.SuperAdmins, AdminTLS: f.AdminTLS}
	auth.Certificate, err = tls.LoadX509KeyPair(within(dir, f.TLS.CertFile), within(dir, f.TLS.KeyFile))
	if err != nil {
		return auth, fmt.Errorf("tls: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	for _, b := range f.Bindings {
		auth.Bindings = append(auth.Bindings, danubetest.Binding(b))
	}
	return auth, auth.Validate()
}

// within is path, seen from dir if it is relative.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
