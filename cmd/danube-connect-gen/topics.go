package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

type topicsOptions struct {
	admin   string // URL of the admin API
	timeout time.Duration
	json    bool
	credentialOptions
}

// topicData is one topic as `topics --json` prints it.
type topicData struct {
	Name       string `json:"name"`       // without partition suffix
	Partitions int    `json:"partitions"` // 0 on a plain topic
	Delivery   string `json:"delivery"`   // Reliable or NonReliable
}

func newTopicsCmd(io streams) *cobra.Command {
	var opts topicsOptions
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "List the topics of a broker",
		Args:  atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return topicsRun(ctx, io, opts)
		},
	}
	opts.addFlags(cmd)
	return cmd
}

func (o *topicsOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.admin, "admin", "http://"+defaultAdmin, "`URL` of the broker's admin API; https:// for TLS")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for the answer")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	o.credentialOptions.addFlags(cmd)
}

// ask lets question ask the admin API, within the time of --timeout. What a topic or its name is to blame for comes back as it is.
func (o *topicsOptions) ask(ctx context.Context, what string, question func(context.Context, *danube.Admin) error) error {
	opts, err := o.credentialOptions.clientOptions(what)
	if err != nil {
		return err
	}
	admin, err := danube.NewAdmin(o.admin, opts...)
	if err != nil {
		return badInput(what, fmt.Errorf("--admin: %w", err), "write http://HOST:PORT")
	}
	defer admin.Close()
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	err = question(limited, admin)
	switch {
	case ctx.Err() != nil:
		return cancelled(what)
	case err == nil || errors.Is(err, danube.ErrNotFound) || errors.Is(err, danube.ErrName):
		return err
	}
	return &failure{
		exit: exitEnvironment, code: "no_broker", what: what,
		err:  fmt.Errorf("%s: %s", o.admin, words(err)),
		mend: "name another --admin, or start a broker with `danube-connect-gen broker`",
	}
}

// words are what the broker says, without the call that it answers.
func words(err error) string {
	var e *danube.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

func topicsRun(ctx context.Context, io streams, opts topicsOptions) error {
	topics := []topicData{}
	err := opts.ask(ctx, "topics", func(ctx context.Context, admin *danube.Admin) error {
		all, err := admin.Topics(ctx, "")
		for _, t := range all {
			topics = append(topics, topicDataOf(t))
		}
		return err
	})
	if err != nil {
		return err
	}
	if opts.json {
		return printJSON(io.out, envelope{OK: true, Data: topics})
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tPARTITIONS\tDELIVERY")
	for _, t := range topics {
		fmt.Fprintf(w, "%s\t%d\t%s\n", t.Name, t.Partitions, t.Delivery)
	}
	return w.Flush()
}

func topicDataOf(t danube.TopicInfo) topicData {
	d := topicData{Name: t.Name, Partitions: len(t.Partitions), Delivery: "NonReliable"}
	if t.Reliable {
		d.Delivery = "Reliable"
	}
	return d
}

func cancelled(what string) error {
	return &failure{exit: exitCancelled, code: "cancelled", what: what, err: errors.New("cancelled")}
}
