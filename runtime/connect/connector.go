package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/option"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/position"
)

// A connector is what the commands of a binary work on.
type connector struct {
	name    string // the table of its own options
	kind    string // "sink" or "source"
	sample  map[string]string
	options func() []option.Option
	load    func(file string, environ []string) (*instance, []option.Unknown, error)
}

// An instance is a connector with a configuration that was checked.
type instance struct {
	core coreConfig
	what string // one line: what it moves from where to where
	run  func(ctx context.Context, s Settings) error
	sink *sinkInstance // nil of a source
}

// A sinkInstance is what the commands need of a sink beside run.
type sinkInstance struct {
	settings func(Settings) SinkSettings
	open     func(context.Context) (Sink, error)
}

// validator is what an author's config may implement to check itself. It reports every problem, each as "key: what is wrong".
type validator interface{ Validate() error }

// checkOwn reports what the author's own check finds, each problem under the connector's table.
func checkOwn(table string, own any) []error {
	v, ok := own.(validator)
	if !ok {
		return nil
	}
	err := v.Validate()
	if err == nil {
		return nil
	}
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, errors.New(table+"."+line))
	}
	return errs
}

func sinkConnector[C any](name string, open func(context.Context, C) (Sink, error)) *connector {
	var (
		core   sinkConfig
		own    C
		routes struct {
			Routes []sinkRoute `toml:"routes" alias:"topic_mappings" doc:"One table for each topic to read, instead of source_topic."`
		}
	)
	options := func() []option.Option {
		all := append(option.Of("", &core), option.Of(name, &own)...)
		return append(all, option.Of(name, &routes)...)
	}
	return &connector{
		name: name, kind: "sink", options: options,
		sample: map[string]string{"source_topic": "/default/events"},
		load: func(file string, environ []string) (*instance, []option.Unknown, error) {
			unknown, err := loadOptions(file, environ, options(), unusedInSinks)
			if err != nil {
				return nil, unknown, err
			}
			targets, errs := core.targets(name, routes.Routes)
			errs = append(errs, core.check()...)
			errs = append(errs, core.Batching.check()...)
			errs = append(errs, core.DeadLetter.check()...)
			errs = append(errs, core.Spool.check()...)
			if core.AckTimeout <= 0 {
				errs = append(errs, fmt.Errorf("ack_timeout: %v is not positive", core.AckTimeout))
			}
			errs = append(errs, checkOwn(name, own)...)
			sink := &sinkInstance{
				settings: func(s Settings) SinkSettings { return core.settings(s, targets) },
				open:     func(ctx context.Context) (Sink, error) { return open(ctx, own) },
			}
			run := func(ctx context.Context, s Settings) error { return StreamSink(ctx, sink.settings(s), sink.open) }
			return &instance{core: core.coreConfig, what: describeRoutes(targets, name), run: run, sink: sink}, unknown, errors.Join(errs...)
		},
	}
}

func describeRoutes(routes []SinkRoute, name string) string {
	var parts []string
	for _, r := range routes {
		target := name
		if r.To != "" {
			target += " " + r.To
		}
		parts = append(parts, fmt.Sprintf("%s -> %s", r.From, target))
	}
	return strings.Join(parts, ", ")
}

// targets are the routes to run: those of the table named table, or the one topic at the root.
func (c sinkConfig) targets(table string, routes []sinkRoute) ([]SinkRoute, []error) {
	var errs problems
	place := func(int) string { return "source_topic" }
	switch {
	case c.Topic != "" && len(routes) > 0:
		errs.addf("source_topic", "is set beside %s.routes; write it as one of them", table)
	case c.Topic != "":
		routes = []sinkRoute{{From: c.Topic, Type: c.Type}}
	case len(routes) == 0:
		errs.addf("source_topic", `is missing; set source_topic = "/default/events" or the environment variable DANUBE_TOPIC`)
	default:
		place = func(i int) string { return fmt.Sprintf("%s.routes[%d].from", table, i) }
	}
	seen := make(map[string]bool)
	var out []SinkRoute
	for i, r := range routes {
		errs.add(place(i), danube.CheckTopic(r.From))
		if seen[r.From] {
			errs.addf(place(i), "%s has a route already; run a second connector for the second target", r.From)
		}
		seen[r.From] = true
		setDefault(&r.Subscription, c.Subscription)
		out = append(out, SinkRoute(r))
	}
	return out, errs
}

func (c sinkConfig) settings(s Settings, routes []SinkRoute) SinkSettings {
	return SinkSettings{
		Settings: s, BatchSize: c.Batching.BatchSize, BatchBytes: c.Batching.BatchBytes,
		BatchTimeout: time.Duration(c.Batching.BatchTimeoutMS) * time.Millisecond,
		Routes:       routes, Workers: c.Batching.Workers, CreateTopic: c.CreateTopic, AckTimeout: c.AckTimeout,
		OnReject: c.DeadLetter.OnReject, DeadLetterTopic: c.DeadLetter.Topic, Spool: c.Spool.settings(),
	}
}

func sourceConnector[C any](name string, open func(context.Context, C, Position) (Source, error)) *connector {
	var (
		core sourceConfig
		own  C
	)
	options := func() []option.Option { return append(option.Of("", &core), option.Of(name, &own)...) }
	return &connector{
		name: name, kind: "source", options: options,
		sample: map[string]string{"destination_topic": "/default/events"},
		load: func(file string, environ []string) (*instance, []option.Unknown, error) {
			unknown, err := loadOptions(file, environ, options(), unusedInSources)
			if err != nil {
				return nil, unknown, err
			}
			errs := append(core.check(), checkOwn(name, own)...)
			run := func(ctx context.Context, s Settings) error {
				store, err := position.Open(core.StateDir, core.Name)
				if err != nil {
					return Fatal(err)
				}
				defer store.Close()
				return StreamSource(ctx, core.settings(s, store), func(ctx context.Context, from Position) (Source, error) { return open(ctx, own, from) })
			}
			return &instance{core: core.coreConfig, what: name + " -> " + core.Topic, run: run}, unknown, errors.Join(errs...)
		},
	}
}

func (c sourceConfig) check() []error {
	errs := problems(c.coreConfig.check())
	if c.Topic == "" {
		errs.addf("destination_topic", `is missing; set destination_topic = "/default/events" or the environment variable DANUBE_TOPIC`)
	} else {
		errs.add("destination_topic", danube.CheckTopic(c.Topic))
	}
	errs.positive("processing.poll_interval_ms", c.Polling.IntervalMS)
	if c.Partitions < 0 {
		errs.addf("partitions", "%d is negative", c.Partitions)
	}
	return errs
}

func (c sourceConfig) settings(s Settings, store PositionStore) SourceSettings {
	return SourceSettings{
		Settings: s, Topic: c.Topic, Partitions: c.Partitions, Reliable: c.Reliable, Positions: store,
		ReadRetry: time.Duration(c.Polling.IntervalMS) * time.Millisecond,
	}
}

// settings are what both kinds of pipeline take from the core configuration.
func (c coreConfig) settings(log *zap.Logger, o *operations) Settings {
	retry := c.Retry.policy()
	return Settings{
		ServiceURL: c.ServiceURL, Client: c.Broker.options(), BrokerMetrics: c.Broker.MetricsURL, Name: c.Name,
		RetryBase: retry.Base, RetryMax: retry.Max, MaxRetries: c.Retry.MaxRetries,
		ShutdownTimeout: c.Processing.Shutdown,
		Log:             log, Metrics: o.registry, Health: o.health,
	}
}
