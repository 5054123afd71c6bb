package connect

import (
	"slices"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// brokerConfig says how the broker is reached and who the connector is to it.
type brokerConfig struct {
	CAFile     string `toml:"ca_file" env:"DANUBE_CA_FILE" doc:"PEM file of who may have signed the certificate of a broker with an https:// URL; empty means whom the system trusts."`
	ServerName string `toml:"server_name" env:"DANUBE_SERVER_NAME" doc:"Name that the broker's certificate must be for; empty means the host in its URL."`
	CertFile   string `toml:"client_cert_file" env:"DANUBE_CLIENT_CERT_FILE" doc:"PEM file of the certificate that is shown to brokers and proxies which ask for one."`
	KeyFile    string `toml:"client_key_file" env:"DANUBE_CLIENT_KEY_FILE" doc:"PEM file of the key of client_cert_file."`
	Token      Secret `toml:"token" env:"DANUBE_TOKEN" doc:"JSON web token that is sent with every call. It cannot outlive itself: better use token_file."`
	TokenFile  string `toml:"token_file" env:"DANUBE_TOKEN_FILE" doc:"File with the token; it is read again when it changes."`
	MetricsURL string `toml:"metrics_url" env:"DANUBE_METRICS_URL" doc:"URL of the broker's Prometheus endpoint, such as http://localhost:9040; with it a sink tells why a subscription stands still."`
	Transport  string `toml:"transport" env:"DANUBE_TRANSPORT" default:"pipelined" doc:"How publishes and acknowledgements travel: pipelined is several times as fast; grpc is for proxies that do not bear it."`
}

// How publishes and acknowledgements travel.
const (
	transportPipelined = "pipelined"
	transportGRPC      = "grpc"
)

func (c brokerConfig) check() []error {
	var errs problems
	if !slices.Contains([]string{transportPipelined, transportGRPC}, c.Transport) {
		errs.addf("danube.transport", "%q is not known; write %s or %s", c.Transport, transportPipelined, transportGRPC)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs.addf("danube.client_cert_file", "needs client_key_file beside it, and the reverse")
	}
	if c.Token != "" && c.TokenFile != "" {
		errs.addf("danube.token", "is set beside token_file; keep one of them")
	}
	if c.MetricsURL != "" {
		_, err := danube.NewGauges(c.MetricsURL, nil)
		errs.add("danube.metrics_url", err)
	}
	return errs
}

// options are what the client is made with.
func (c brokerConfig) options() []danube.Option {
	var opts []danube.Option
	if c.CAFile != "" {
		opts = append(opts, danube.WithRootCAFile(c.CAFile))
	}
	if c.ServerName != "" {
		opts = append(opts, danube.WithServerName(c.ServerName))
	}
	if c.CertFile != "" {
		opts = append(opts, danube.WithClientCertificateFiles(c.CertFile, c.KeyFile))
	}
	if c.Token != "" {
		opts = append(opts, danube.WithTokenValue(string(c.Token)))
	}
	if c.TokenFile != "" {
		opts = append(opts, danube.WithTokenFile(c.TokenFile))
	}
	if c.Transport == transportGRPC {
		opts = append(opts, danube.WithoutPipelining())
	}
	return opts
}
