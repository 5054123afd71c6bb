package connect

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/option"
)

// coreConfig is what every connector has at the root of its file. Keys, defaults and variables are those of the Rust connectors.
type coreConfig struct {
	ServiceURL string           `toml:"danube_service_url" env:"DANUBE_SERVICE_URL" example:"http://localhost:6650" doc:"URL of a Danube broker."`
	Name       string           `toml:"connector_name" env:"CONNECTOR_NAME" example:"my-connector" doc:"Name of this instance in metrics, producers and consumers; unique among those that run at once."`
	Broker     brokerConfig     `toml:"danube"`
	Retry      retryConfig      `toml:"retry"`
	Processing processingConfig `toml:"processing"`
}

type retryConfig struct {
	MaxRetries int `toml:"max_retries" alias:"/max_retries" env:"MAX_RETRIES" default:"3" doc:"Failed tries in a row after which /ready turns to 503; trying goes on for ever."`
	BackoffMS  int `toml:"retry_backoff_ms" alias:"/retry_backoff_ms initial_interval_ms" env:"RETRY_BACKOFF_MS" default:"1000" doc:"Wait before the first retry in milliseconds; it doubles with each further one, with jitter."`
	MaxMS      int `toml:"max_backoff_ms" alias:"/max_backoff_ms max_interval_ms" env:"MAX_BACKOFF_MS" default:"30000" doc:"Longest wait between two tries in milliseconds."`
}

func (c retryConfig) policy() backoff.Policy {
	return backoff.Policy{Base: time.Duration(c.BackoffMS) * time.Millisecond, Max: time.Duration(c.MaxMS) * time.Millisecond}
}

type processingConfig struct {
	MetricsPort uint16        `toml:"metrics_port" alias:"/metrics_port" env:"METRICS_PORT" default:"9090" doc:"Port of /metrics, /health and /ready; 0 opens none."`
	MetricsHost string        `toml:"metrics_host" env:"METRICS_HOST" doc:"Address that the port is opened on; empty means all."`
	LogLevel    string        `toml:"log_level" alias:"/log_level" env:"LOG_LEVEL" default:"info" doc:"debug, info, warn or error."`
	LogFormat   string        `toml:"log_format" env:"LOG_FORMAT" default:"console" doc:"console or json."`
	Shutdown    time.Duration `toml:"shutdown_timeout" env:"SHUTDOWN_TIMEOUT" default:"20s" doc:"How long a stop waits for the batch in hand."`
}

// batchingConfig is what a sink adds to the [processing] table.
type batchingConfig struct {
	BatchSize      int `toml:"batch_size" alias:"/batch_size" env:"BATCH_SIZE" default:"1000" doc:"Most records in one batch. A sink's batch also ends when the broker can send no more: its window (10 by default) is full or the topic is quiet."`
	BatchBytes     int `toml:"batch_bytes" env:"BATCH_BYTES" default:"8388608" doc:"Most bytes of values in one batch."`
	BatchTimeoutMS int `toml:"batch_timeout_ms" alias:"/batch_timeout_ms flush_interval_ms" env:"BATCH_TIMEOUT_MS" default:"1000" doc:"Longest time in milliseconds that a batch waits for more records after its first."`
	Workers        int `toml:"workers" env:"WORKERS" default:"1" doc:"Sinks that write side by side; records of one routing key stay in order."`
}

// pollingConfig is what a source adds to the [processing] table.
type pollingConfig struct {
	IntervalMS int `toml:"poll_interval_ms" alias:"/poll_interval_ms" env:"POLL_INTERVAL_MS" default:"100" doc:"Wait in milliseconds before a source is read again after it failed to read."`
}

// Keys of the [processing] table that files of the Rust connectors have and that do nothing here, by kind of connector.
var (
	unusedInSinks   = []string{"poll_interval_ms"}
	unusedInSources = []string{"batch_size", "batch_timeout_ms", "flush_interval_ms"}
)

// sinkConfig is the runtime's part of a sink's file.
type sinkConfig struct {
	coreConfig
	Batching     batchingConfig          `toml:"processing"`
	Topic        string                  `toml:"source_topic" env:"DANUBE_TOPIC" doc:"Danube topic to read, in the form /namespace/topic; several topics go into routes."`
	Subscription string                  `toml:"subscription_name" env:"SUBSCRIPTION_NAME" doc:"Subscription that keeps the position on the broker; the connector's name when empty. Another name starts at the newest message."`
	Type         danube.SubscriptionType `toml:"subscription_type" env:"SUBSCRIPTION_TYPE" default:"Exclusive" doc:"Exclusive, Shared, Failover or KeyShared; Exclusive keeps order and is what the broker is best at."`
	CreateTopic  bool                    `toml:"create_topic" env:"CREATE_TOPIC" default:"true" doc:"Make a missing topic (plain and reliable), so that nothing published later passes this subscription by; false waits for its first producer."`
	AckTimeout   time.Duration           `toml:"ack_timeout" env:"ACK_TIMEOUT" default:"30s" doc:"The broker's acknowledgement timeout for this subscription. Records that wait longer than two thirds of it for the target are given back until the target answers."`
	DeadLetter   deadLetterConfig        `toml:"dead_letter"`
	Spool        spoolConfig             `toml:"spool"`
}

type deadLetterConfig struct {
	OnReject string `toml:"on_reject" env:"DEAD_LETTER_ON_REJECT" default:"dead-letter" doc:"What becomes of a record that can never be written: dead-letter (a message on the dead-letter topic), skip (logged and counted), stop."`
	Topic    string `toml:"topic" env:"DEAD_LETTER_TOPIC" doc:"Topic of the dead letters; empty means the record's topic with -dlq appended."`
}

// What becomes of a rejected record.
const (
	onRejectDeadLetter = "dead-letter"
	onRejectSkip       = "skip"
	onRejectStop       = "stop"
)

// sourceConfig is the runtime's part of a source's file.
type sourceConfig struct {
	coreConfig
	Polling    pollingConfig `toml:"processing"`
	Topic      string        `toml:"destination_topic" env:"DANUBE_TOPIC" doc:"Danube topic to write to, in the form /namespace/topic; it is created when missing."`
	Partitions int           `toml:"partitions" env:"PARTITIONS" default:"0" doc:"Partitions of the topic; 0 is a plain topic. Records are spread by key."`
	Reliable   bool          `toml:"reliable_dispatch" env:"RELIABLE_DISPATCH" default:"true" doc:"Whether the topic stores messages until they are acknowledged."`
	StateDir   string        `toml:"state_dir" env:"STATE_DIR" default:"state" doc:"Folder of the position file; it must outlive the process."`
}

// A sinkRoute maps one topic to one target.
type sinkRoute struct {
	From         string                  `toml:"from" alias:"topic" example:"/default/events" doc:"Danube topic to read."`
	To           string                  `toml:"to" doc:"Target inside the external system, such as a collection or a path."`
	Subscription string                  `toml:"subscription" doc:"Subscription; subscription_name or the connector's name when empty."`
	Type         danube.SubscriptionType `toml:"subscription_type" default:"Exclusive" doc:"As subscription_type at the root."`
}

// loadOptions reads the configuration file and the environment into options; unused are keys of [processing] that do nothing here.
func loadOptions(file string, environ []string, options []option.Option, unused []string) ([]option.Unknown, error) {
	doc := map[string]any{}
	name := "configuration"
	if file != "" {
		name = file
		var err error
		if doc, err = readTOML(file); err != nil {
			return nil, err
		}
	}
	src := option.Source{File: filepath.Base(name), Doc: doc, Env: environment(environ)}
	for _, key := range unused { // in its table, and at the root as older files have it
		src.Unused = append(src.Unused, key, "processing."+key)
	}
	return option.Load(options, src)
}

func readTOML(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("configuration file %s does not exist; name another with --config or CONNECTOR_CONFIG_PATH", file)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	doc := map[string]any{}
	_, err = toml.Decode(string(text), &doc)
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return nil, fmt.Errorf("%s:%d: not TOML: %s", file, syntax.Position.Line, syntax.Message)
	}
	return doc, err
}

// environment makes a map of environ and brings names that two generations of connectors wrote differently to the present one.
func environment(environ []string) map[string]string {
	vars := make(map[string]string, len(environ))
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		vars[name] = value
	}
	if s := vars["DISPATCH_STRATEGY"]; s != "" && vars["RELIABLE_DISPATCH"] == "" {
		vars["RELIABLE_DISPATCH"] = fmt.Sprint(strings.EqualFold(s, "Reliable"))
	}
	if s := vars["RUST_LOG"]; s != "" && vars["LOG_LEVEL"] == "" {
		// A list of directives such as "info,danube_source_mqtt=debug"; only the bare level means something here.
		for part := range strings.SplitSeq(s, ",") {
			if !strings.Contains(part, "=") && part != "" {
				vars["LOG_LEVEL"] = part
			}
		}
	}
	return vars
}

// configFile is the path that the environment names, empty when it names none.
func configFile(environ []string) string {
	vars := environment(environ)
	if path := vars["CONNECTOR_CONFIG_PATH"]; path != "" {
		return path
	}
	return vars["CONFIG_FILE"]
}

// check reports every value of the core configuration that cannot work.
func (c coreConfig) check() []error {
	var errs problems
	if _, err := danube.New(c.ServiceURL); err != nil {
		errs.add("danube_service_url", err)
	}
	if wrong := c.Broker.check(); wrong != nil {
		errs = append(errs, wrong...)
	} else if _, err := danube.New("http://localhost", c.Broker.options()...); err != nil {
		errs.add("danube", err)
	}
	if strings.ContainsAny(c.Name, "/ \t\n") || c.Name == "" {
		errs.addf("connector_name", "%q must be a word without spaces and slashes", c.Name)
	}
	if c.Retry.MaxRetries < 0 || c.Retry.MaxRetries > 100 {
		errs.addf("retry.max_retries", "%d is not between 0 and 100", c.Retry.MaxRetries)
	}
	if c.Retry.BackoffMS < 1 || c.Retry.MaxMS < c.Retry.BackoffMS {
		errs.addf("retry", "retry_backoff_ms must be at least 1 and max_backoff_ms no less than it")
	}
	return append(errs, c.Processing.check()...)
}

// check reports every value that cannot work.
func (b batchingConfig) check() []error {
	var errs problems
	errs.positive("processing.batch_size", b.BatchSize)
	errs.positive("processing.batch_bytes", b.BatchBytes)
	errs.positive("processing.batch_timeout_ms", b.BatchTimeoutMS)
	errs.positive("processing.workers", b.Workers)
	return errs
}

func (p processingConfig) check() []error {
	var errs problems
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, strings.ToLower(p.LogLevel)) {
		errs.addf("processing.log_level", "%q is not a level; write debug, info, warn or error", p.LogLevel)
	}
	if !slices.Contains([]string{"console", "json"}, p.LogFormat) {
		errs.addf("processing.log_format", "%q is not a format; write console or json", p.LogFormat)
	}
	if p.Shutdown <= 0 {
		errs.addf("processing.shutdown_timeout", "%v is not positive", p.Shutdown)
	}
	return errs
}

func (d deadLetterConfig) check() []error {
	var errs problems
	known := map[string]bool{onRejectDeadLetter: true, onRejectSkip: true, onRejectStop: true}
	if !known[d.OnReject] {
		errs.addf("dead_letter.on_reject", "%q is not known; write one of %s", d.OnReject, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	if d.Topic != "" {
		errs.add("dead_letter.topic", danube.CheckTopic(d.Topic))
	}
	return errs
}

// problems collects errors that each name their place.
type problems []error

func (p *problems) add(place string, err error) {
	if err != nil {
		*p = append(*p, fmt.Errorf("%s: %w", place, err))
	}
}

func (p *problems) positive(place string, n int) {
	if n < 1 {
		p.addf(place, "%d is not positive", n)
	}
}

func (p *problems) addf(place, format string, args ...any) {
	p.add(place, fmt.Errorf(format, args...))
}
