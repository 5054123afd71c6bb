package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// clientOptions are what produce and consume have in common.
type clientOptions struct {
	topic   string
	broker  string        // URL
	timeout time.Duration // how long the broker may take to answer at the start
	credentialOptions
}

func (o *clientOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.broker, "broker", "http://"+defaultBroker, "`URL` of the broker; https:// for TLS")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for the broker's first answer")
	o.credentialOptions.addFlags(cmd)
}

// client connects when it is first used.
func (o *clientOptions) client(what string) (*danube.Client, error) {
	if err := danube.CheckTopic(o.topic); err != nil {
		return nil, badInput(what, err, "")
	}
	opts, err := o.credentialOptions.clientOptions(what)
	if err != nil {
		return nil, err
	}
	c, err := danube.New(o.broker, opts...)
	if err != nil {
		return nil, badInput(what, fmt.Errorf("--broker: %w", err), "write http://HOST:PORT")
	}
	return c, nil
}

// within gives an attempt the time of --timeout. It tells the end of that time from the end of ctx.
func (o *clientOptions) within(ctx context.Context, attempt func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	err := attempt(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return errNoAnswer
	}
	return err
}

var errNoAnswer = errors.New("no answer")

// unreachable reports a broker that does not answer; health is what the client knows about it.
func (o *clientOptions) unreachable(what string, health error) error {
	err := fmt.Errorf("%s gives no answer within %v", o.broker, o.timeout)
	if health != nil {
		err = fmt.Errorf("%w: %w", err, health)
	}
	return &failure{
		exit: exitEnvironment, code: "no_broker", what: what, err: err,
		mend: "name another --broker, or start one with `danube-connect-gen broker`",
	}
}

// refused reports what the client has given up; its error says what would mend it.
func refused(what string, err error) error {
	f := &failure{exit: exitFailed, code: "refused", what: what, err: err}
	if errors.Is(err, danube.ErrNotBroker) {
		f.exit, f.code = exitEnvironment, "no_broker"
	}
	return f
}

// exactTopic takes the one argument of produce and consume.
func exactTopic(topic *string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return badInput(cmd.Name(), fmt.Errorf("one topic is needed, got %d arguments", len(args)), "write "+cmd.CommandPath()+" /namespace/name")
		}
		*topic = args[0]
		return nil
	}
}
