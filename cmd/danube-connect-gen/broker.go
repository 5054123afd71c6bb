package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// Where a Danube broker listens by default.
const (
	defaultBroker = "127.0.0.1:6650"
	defaultAdmin  = "127.0.0.1:50051"
	defaultHTTP   = "127.0.0.1:6680" // of the development broker only
)

type brokerOptions struct {
	listen string // host:port for clients
	admin  string // host:port for administrators; empty for none
	http   string // host:port of the status page; empty for none
	anyWeb bool   // the port of http may be another one when it is taken
	like   imitation
	data   brokerData
	auth   string // file with certificate, secret and permissions; empty: everybody may do everything, in plain text
}

func newBrokerCmd(io streams) *cobra.Command {
	var opts brokerOptions
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run a Danube broker for development",
		Long: "Run a Danube broker for development. It speaks the wire protocol of the real one and keeps everything in memory: what is\n" +
			"not read when it ends is gone. SIGINT and SIGTERM end it.\n\n" +
			"The status page shows topics, subscriptions and messages and lets things go wrong. What it shows is at /api/state as JSON; a fault\n" +
			"is switched by POST /api/faults/KIND, and a wrong KIND is answered with the list of them. Without --auth it asks nobody for a token.\n\n" +
			"With --data-dir it keeps topics, messages and subscriptions on disk and goes on with them when it is started again, also\n" +
			"after a crash. Non-reliable topics keep no messages.\n\n" +
			"With --auth it takes TLS and signed tokens only, like a real one in the mode tls. The status page then asks for the token of a super\n" +
			"admin, or of somebody with ManageCluster on the cluster; programs send it as Authorization: Bearer TOKEN. /metrics stays open. The\n" +
			"file looks like this:\n\n" + authExample,
		Example: "  danube-connect-gen broker\n" +
			"  danube-connect-gen broker --data-dir danube-data --retention-time 24h\n" +
			"  danube-connect-gen broker --http 127.0.0.1:8080\n" +
			"  danube-connect-gen broker --imitate v0.15 --seed 7\n" +
			"  curl -H 'Content-Type: application/json' -d '{\"method\":\"SendMessage\",\"count\":3}' http://127.0.0.1:6680/api/faults/refuse\n" +
			"  danube-connect-gen broker --listen 127.0.0.1:7650 --admin-listen 127.0.0.1:0",
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.like.setWindow = cmd.Flags().Changed("window")
			opts.anyWeb = !cmd.Flags().Changed("http")
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return brokerRun(ctx, io, opts)
		},
	}
	cmd.Flags().StringVar(&opts.listen, "listen", defaultBroker, "`HOST:PORT` for clients; port 0 takes a free one")
	cmd.Flags().StringVar(&opts.admin, "admin-listen", defaultAdmin, "`HOST:PORT` of the admin API; empty for none")
	cmd.Flags().StringVar(&opts.http, "http", defaultHTTP,
		"`HOST:PORT` of the status page and the switches of faults; empty for none; unless given, a free port when this one is taken")
	cmd.Flags().IntVar(&opts.like.window, "window", 10, "how many messages of a subscription may wait for their acknowledgement, 1 to 10000")
	opts.data.addFlags(cmd)
	cmd.Flags().StringVar(&opts.auth, "auth", "", "`FILE` with certificate, secret and permissions: TLS and tokens are demanded then")
	opts.like.flags(cmd)
	cmd.AddCommand(newTrapsCmd(io))
	return cmd
}

// untilSignal ends the context when the process is asked to stop. Asked again, it stops at once.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

func brokerRun(ctx context.Context, io streams, opts brokerOptions) (err error) {
	log := slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	settings := append(opts.like.options(), danubetest.Logger(log))
	if opts.auth != "" {
		auth, err := readAuth(opts.auth)
		if err != nil {
			return err
		}
		settings = append(settings, danubetest.Secure(auth))
	}
	kept, err := opts.data.options()
	if err != nil {
		return err
	}
	b, err := danubetest.New(append(settings, kept...)...)
	if err != nil {
		return newBrokerFailure(err)
	}
	defer b.Close()
	client, err := listen(opts.listen, "--listen")
	if err != nil {
		return err
	}
	var admin net.Listener
	if opts.admin != "" {
		if admin, err = listen(opts.admin, "--admin-listen"); err != nil {
			return errors.Join(err, client.Close())
		}
	}
	web, err := opts.listenWeb()
	if err != nil {
		return errors.Join(err, client.Close(), closeIf(admin))
	}
	if err := b.Serve(client, admin); err != nil {
		return err
	}
	if web != nil {
		if err := b.ServeStatus(web); err != nil {
			return err
		}
	}
	fmt.Fprintf(io.out, "broker ready: %s\n", b.URL())
	if admin != nil {
		fmt.Fprintf(io.out, "admin API:    %s\n", b.AdminURL())
	}
	if web != nil {
		fmt.Fprintf(io.out, "status page:  %s\n", b.StatusURL())
	}
	fmt.Fprintln(io.out, opts.data.notice())
	<-ctx.Done()
	fmt.Fprintln(io.out, "broker ended")
	return nil
}

// listenWeb opens the port of the status page, if there is to be one.
func (o *brokerOptions) listenWeb() (net.Listener, error) {
	if o.http == "" {
		return nil, nil
	}
	l, err := listen(o.http, "--http")
	if err != nil && o.anyWeb {
		return listen("127.0.0.1:0", "--http")
	}
	return l, err
}

func closeIf(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

func listen(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	var wrong *net.AddrError
	switch {
	case errors.As(err, &wrong):
		return nil, badInput("broker", fmt.Errorf("%s: %w", flag, err), "write HOST:PORT, such as "+defaultBroker)
	case err != nil:
		return nil, &failure{
			exit: exitEnvironment, code: "cannot_listen", what: "broker", err: fmt.Errorf("%s: %w", flag, err),
			mend: "choose another " + flag + ", or end what listens there",
		}
	}
	return l, nil
}
