package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/option"
)

// hook is the configuration of an imagined sink.
type hook struct {
	URL     string        `toml:"url" env:"HOOK_URL" example:"http://localhost/x" doc:"Where to post."`
	Token   Secret        `toml:"token" env:"HOOK_TOKEN" doc:"Bearer token."`
	Timeout time.Duration `toml:"timeout" default:"10s" doc:"Limit for one request."`
}

func (h hook) Validate() error {
	var errs []error
	if !strings.HasPrefix(h.URL, "http") {
		errs = append(errs, fmt.Errorf("url: %q is not a URL", h.URL))
	}
	if h.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: %v is not positive", h.Timeout))
	}
	return errors.Join(errs...)
}

func openHook(context.Context, hook) (Sink, error) { return nil, errors.New("not for this test") }

// call runs a command of the imagined sink.
func call(t *testing.T, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = SinkCommand(t.Context(), Process{Args: args, Env: env, Stdout: &out, Stderr: &errs}, "hook", openHook)
	return status, out.String(), errs.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestAnEnvironmentAloneIsAConfiguration(t *testing.T) {
	t.Parallel()
	status, out, errs := call(t, []string{
		"DANUBE_SERVICE_URL=http://broker:6650", "CONNECTOR_NAME=c", "DANUBE_TOPIC=/default/x", "HOOK_URL=http://x",
	}, "validate")
	require.Equal(t, 0, status, errs)
	require.Equal(t, "valid: /default/x -> hook\n", out)
}

func TestEveryGenerationOfKeysIsUnderstood(t *testing.T) {
	t.Parallel()
	flat := `
danube_service_url = "http://b:1"
connector_name = "c"
source_topic = "/default/x"
subscription_name = "s"
subscription_type = "shared"
max_retries = 7
retry_backoff_ms = 11
max_backoff_ms = 22
batch_size = 33
batch_timeout_ms = 44
poll_interval_ms = 55
metrics_port = 66
log_level = "warn"
[hook]
url = "http://x"
`
	tables := `
danube_service_url = "http://b:1"
connector_name = "c"
[retry]
max_retries = 7
initial_interval_ms = 11
max_interval_ms = 22
[processing]
batch_size = 33
flush_interval_ms = 44
poll_interval_ms = 55
metrics_port = 66
log_level = "warn"
[hook]
url = "http://x"
[[hook.topic_mappings]]
topic = "/default/x"
subscription = "s"
subscription_type = "Shared"
`
	env := []string{
		"DANUBE_SERVICE_URL=http://b:1", "CONNECTOR_NAME=c", "DANUBE_TOPIC=/default/x", "SUBSCRIPTION_NAME=s", "SUBSCRIPTION_TYPE=SHARED",
		"MAX_RETRIES=7", "RETRY_BACKOFF_MS=11", "MAX_BACKOFF_MS=22", "BATCH_SIZE=33", "BATCH_TIMEOUT_MS=44", "POLL_INTERVAL_MS=55",
		"METRICS_PORT=66", "RUST_LOG=warn,danube_sink=debug", "HOOK_URL=http://x",
	}
	for name, tt := range map[string]struct {
		file string
		env  []string
	}{"flat": {file: flat}, "tables": {file: tables}, "environment": {env: env}} {
		c := sinkConnector("hook", openHook)
		path := ""
		if tt.file != "" {
			path = write(t, tt.file)
		}
		in, unknown, err := c.load(path, tt.env)
		require.NoError(t, err, name)
		for _, u := range unknown {
			require.Contains(t, u.String(), "poll_interval_ms has no effect in this connector", name)
		}
		var core sinkConfig
		_, err = loadOptions(path, tt.env, option.Of("", &core), nil)
		require.NoError(t, err, name)
		b := core.Batching
		require.Equal(t, []int{33, 44}, []int{b.BatchSize, b.BatchTimeoutMS}, name)
		var source sourceConfig
		_, err = loadOptions(path, tt.env, option.Of("", &source), nil)
		require.NoError(t, err, name)
		require.Equal(t, 55, source.Polling.IntervalMS, name)
		require.Equal(t, "c", in.core.Name, name)
		require.Equal(t, 7, in.core.Retry.MaxRetries, name)
		require.Equal(t, 11*time.Millisecond, in.core.Retry.policy().Base, name)
		require.Equal(t, 22*time.Millisecond, in.core.Retry.policy().Max, name)
		p := in.core.Processing
		require.Equal(t, []any{uint16(66), "warn"}, []any{p.MetricsPort, p.LogLevel}, name)
		require.Equal(t, "/default/x -> hook", in.what, name)
	}
}

func TestRoutesCarryTheirOwnSubscription(t *testing.T) {
	t.Parallel()
	c := sinkConfig{Subscription: "fallback"}
	routes, errs := c.targets("hook", []sinkRoute{{From: "/a/b", To: "x", Subscription: "s", Type: danube.Shared}, {From: "/a/c"}})
	require.Empty(t, errs)
	require.Equal(t, []SinkRoute{{From: "/a/b", To: "x", Subscription: "s", Type: danube.Shared}, {From: "/a/c", Subscription: "fallback"}}, routes)
	_, errs = c.targets("hook", []sinkRoute{{From: "/a/b"}, {From: "/a/b"}, {From: "b"}})
	require.Len(t, errs, 2)
	c.Topic = "/a/z"
	_, errs = c.targets("hook", []sinkRoute{{From: "/a/b"}})
	require.ErrorContains(t, errs[0], "beside hook.routes")
}

func TestDispatchStrategyIsReliability(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]bool{"DISPATCH_STRATEGY=NonReliable": false, "DISPATCH_STRATEGY=Reliable": true, "RELIABLE_DISPATCH=false": false, "X=": true} {
		var core sourceConfig
		_, err := loadOptions("", []string{"DANUBE_SERVICE_URL=http://b:1", "CONNECTOR_NAME=c", env}, option.Of("", &core), nil)
		require.NoError(t, err)
		require.Equal(t, want, core.Reliable, env)
	}
}

func TestBadConfigurationIsToldWholeAndInLines(t *testing.T) {
	t.Parallel()
	path := write(t, `
danube_service_url = "broker:6650"
connector_name = "a b"
source_topic = "orders"
ack_timeout = "0s"
[retry]
max_retries = 200
[processing]
batch_size = 0
log_format = "xml"
[dead_letter]
on_reject = "drop"
[hook]
url = "ftp://x"
timeout = "-1s"
`)
	status, out, errs := call(t, nil, "run", "--config", path)
	require.Equal(t, 2, status)
	require.Empty(t, out)
	for _, want := range []string{
		`danube_service_url: broker URL "broker:6650" is not of the form http://host:port`,
		`connector_name: "a b" must be a word`,
		`source_topic: topic "orders" is not of the form /namespace/topic`,
		"ack_timeout: 0s is not positive",
		"retry.max_retries: 200 is not between 0 and 100",
		"processing.batch_size: 0 is not positive",
		`processing.log_format: "xml" is not a format; write console or json`,
		`dead_letter.on_reject: "drop" is not known; write one of dead-letter, skip, stop`,
		`hook.url: "ftp://x" is not a URL`,
		"hook.timeout: -1s is not positive",
	} {
		require.Contains(t, errs, "sink-hook: "+strings.TrimSuffix(want, "\n"), "missing in\n%s", errs)
	}
	require.Equal(t, 10, strings.Count(errs, "\n"))
}

func TestBadFilesAreNamedWithTheirLine(t *testing.T) {
	t.Parallel()
	status, _, errs := call(t, nil, "validate", "--config", write(t, "a = 1\nb = [\n"))
	require.Equal(t, 2, status)
	require.Regexp(t, `c\.toml:\d+: not TOML: .+`, errs)
	require.Equal(t, 1, strings.Count(errs, "\n"))
	status, _, errs = call(t, []string{"CONNECTOR_CONFIG_PATH=/nowhere/c.toml"})
	require.Equal(t, 2, status)
	require.Equal(t, "sink-hook: configuration file /nowhere/c.toml does not exist; name another with --config or CONNECTOR_CONFIG_PATH\n", errs)
	status, _, errs = call(t, nil, "walk")
	require.Equal(t, 2, status)
	require.Contains(t, errs, `unknown command "walk"`)
	status, _, _ = call(t, nil, "--help")
	require.Equal(t, 0, status)
}

func TestUnknownKeysAreWarnedAbout(t *testing.T) {
	t.Parallel()
	path := write(t, `
danube_service_url = "http://b:1"
connector_name = "c"
source_topic = "/default/x"
[hook]
url = "http://x"
tiemout = "1s"
`)
	status, _, errs := call(t, nil, "validate", "--config", path)
	require.Equal(t, 0, status)
	require.Equal(t, "warning: unknown key hook.tiemout; did you mean hook.timeout?\n", errs)
}

func TestDocumentsComeFromTheStruct(t *testing.T) {
	t.Parallel()
	_, sample, _ := call(t, nil, "config", "sample")
	status, _, errs := call(t, nil, "validate", "--config", write(t, sample))
	require.Equal(t, 0, status, errs)
	require.Empty(t, errs)

	readme := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("# T\n"+docsBegin+"\nold\n"+docsEnd+"\ntail\n"), 0o600))
	status, _, errs = call(t, nil, "config", "docs", "--write", readme)
	require.Equal(t, 0, status, errs)
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.Contains(t, string(text), "| `hook.token` | secret |  | `HOOK_TOKEN` | Bearer token. |\n")
	require.NotContains(t, string(text), "\nold\n")
	require.True(t, strings.HasSuffix(string(text), docsEnd+"\ntail\n"))

	_, schema, _ := call(t, nil, "config", "schema")
	require.True(t, json.Valid([]byte(schema)))
	_, version, _ := call(t, nil, "version")
	require.NotEmpty(t, version)
}

func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	h := hook{URL: "http://x", Token: secret}
	var logged bytes.Buffer
	log, err := newLogger(coreConfig{Processing: processingConfig{LogLevel: "debug", LogFormat: "json"}}, &logged)
	require.NoError(t, err)
	log.Info("config", zap.Any("config", h), zap.Reflect("nested", map[string]any{"h": []hook{h}}), zap.Stringer("token", h.Token),
		zap.Error(fmt.Errorf("with %v %+v %#v %s %q", h, h, h, h.Token, h.Token)))
	encoded, err := json.Marshal(h)
	require.NoError(t, err)
	for _, text := range []string{logged.String(), string(encoded), fmt.Sprint(h), fmt.Sprintf("%#v %+v", h, h)} {
		require.NotContains(t, text, secret)
		require.Contains(t, text, mask)
	}
	require.Empty(t, Secret("").String())
	status, _, errs := call(t, []string{"HOOK_TOKEN=" + secret, "HOOK_URL=x"}, "validate")
	require.Equal(t, 2, status)
	require.NotContains(t, errs, secret)
}

// A connector reaches a broker that demands TLS and a token by its configuration alone.
func TestTheBrokerTableReachesASecuredBroker(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: []byte("a secret of the test"), SuperAdmins: []string{"root"}}
	b := danubetest.Start(t, danubetest.Secure(auth))
	dir := t.TempDir()
	ca, token := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(ca, b.RootCA(), 0o600))
	require.NoError(t, os.WriteFile(token, []byte(auth.Token("root", time.Hour)+"\n"), 0o600))
	for name, lines := range map[string]string{
		"pipelined": "token_file = " + fmt.Sprintf("%q", token),
		"grpc":      "transport = \"grpc\"\ntoken = " + fmt.Sprintf("%q", auth.Token("root", time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, fmt.Sprintf("danube_service_url = %q\nconnector_name = \"c\"\nsource_topic = \"/default/x\"\n[danube]\nca_file = %q\n%s\n[hook]\nurl = \"http://x\"\n", b.URL(), ca, lines))
			var core sinkConfig
			_, err := loadOptions(path, nil, option.Of("", &core), nil)
			require.NoError(t, err)
			require.Empty(t, core.coreConfig.check())
			client, err := danube.New(core.ServiceURL, core.Broker.options()...)
			require.NoError(t, err)
			defer client.Close()
			p, err := client.NewProducer(danube.ProducerSettings{Topic: "/default/" + name, Name: "p", Reliable: true})
			require.NoError(t, err)
			defer p.Close()
			require.NoError(t, p.Send(t.Context(), danube.Message{Payload: []byte("x")}))
		})
	}
}

func TestABrokerTableThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		`transport = "quic"`:                "danube.transport: \"quic\" is not known; write pipelined or grpc",
		`client_cert_file = "c.pem"`:        "danube.client_cert_file: needs client_key_file beside it",
		"token = \"a\"\ntoken_file = \"b\"": "danube.token: is set beside token_file; keep one of them",
		`ca_file = "/none/ca.pem"`:          "danube: certificate authority: open /none/ca.pem",
		`token_file = "/none/token"`:        "danube: ",
		`metrics_url = "broker"`:            "danube.metrics_url: ",
	} {
		path := write(t, "danube_service_url = \"https://b:1\"\nconnector_name = \"c\"\nsource_topic = \"/default/x\"\n[danube]\n"+lines+"\n[hook]\nurl = \"http://x\"\n")
		status, _, errs := call(t, nil, "validate", "--config", path)
		require.Equal(t, 2, status, lines)
		require.Contains(t, errs, want)
	}
}
