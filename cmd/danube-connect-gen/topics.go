package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
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

// ask lets question ask the admin API, within the time of --timeout.
func (o *topicsOptions) ask(ctx context.Context, what string, question func(context.Context, *grpc.ClientConn) error) error {
	conn, err := o.dial(what)
	if err != nil {
		return err
	}
	defer conn.Close()
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	err = question(limited, conn)
	switch {
	case ctx.Err() != nil:
		return cancelled(what)
	case err != nil:
		return &failure{
			exit: exitEnvironment, code: "no_broker", what: what,
			err:  fmt.Errorf("%s: %s", o.admin, status.Convert(err).Message()),
			mend: "name another --admin, or start a broker with `danube-connect-gen broker`",
		}
	}
	return nil
}

func topicsRun(ctx context.Context, io streams, opts topicsOptions) error {
	var infos []*adminpb.TopicInfo
	err := opts.ask(ctx, "topics", func(ctx context.Context, conn *grpc.ClientConn) (err error) {
		infos, err = allTopics(ctx, conn)
		return err
	})
	if err != nil {
		return err
	}
	topics := merge(infos)
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

func (o *topicsOptions) dial(what string) (*grpc.ClientConn, error) {
	u, err := url.Parse(o.admin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Port() == "" {
		return nil, badInput(what, fmt.Errorf("--admin: %q is not a URL with a port", o.admin), "write http://HOST:PORT")
	}
	opts, err := o.dialOptions(what, u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(u.Host, opts...)
}

// allTopics asks namespace by namespace. The broker repeats names of namespaces, and takes a namespace for a mere prefix.
func allTopics(ctx context.Context, conn *grpc.ClientConn) ([]*adminpb.TopicInfo, error) {
	spaces, err := adminpb.NewBrokerAdminClient(conn).ListNamespaces(ctx, &adminpb.Empty{})
	if err != nil {
		return nil, err
	}
	names := slices.Clone(spaces.GetNamespaces())
	slices.Sort(names)
	var all []*adminpb.TopicInfo
	for _, name := range slices.Compact(names) {
		list, err := adminpb.NewTopicAdminClient(conn).ListNamespaceTopics(ctx, &adminpb.NamespaceRequest{Name: name})
		if err != nil {
			return nil, err
		}
		for _, t := range list.GetTopics() {
			if strings.HasPrefix(t.GetName(), "/"+strings.Trim(name, "/")+"/") {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

// merge makes one topic of its partitions.
func merge(infos []*adminpb.TopicInfo) []topicData {
	byName := map[string]topicData{}
	for _, t := range infos {
		name, isPartition := partitionBase(t.GetName())
		d := byName[name]
		d.Name, d.Delivery = name, t.GetDelivery()
		if isPartition {
			d.Partitions++
		}
		byName[name] = d
	}
	topics := []topicData{}
	for _, d := range byName {
		topics = append(topics, d)
	}
	slices.SortFunc(topics, func(a, b topicData) int { return strings.Compare(a.Name, b.Name) })
	return topics
}

// partitionBase splits the number off the name of a partition.
func partitionBase(name string) (string, bool) {
	const mark = "-part-"
	i := strings.LastIndex(name, mark)
	if i < 0 {
		return name, false
	}
	if _, err := strconv.ParseUint(name[i+len(mark):], 10, 32); err != nil {
		return name, false
	}
	return name[:i], true
}

func cancelled(what string) error {
	return &failure{exit: exitCancelled, code: "cancelled", what: what, err: errors.New("cancelled")}
}
