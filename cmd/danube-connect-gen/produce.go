package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

type produceOptions struct {
	clientOptions
	file       string // empty: standard input
	key        string
	attributes map[string]string
	count      int     // stop after so many; 0 is all
	rate       float64 // messages a second; 0 is as fast as they are confirmed
	reliable   bool
}

func newProduceCmd(io streams) *cobra.Command {
	var opts produceOptions
	cmd := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Publish lines as messages",
		Long:  "Publish each line of standard input, or of a file, as one message. A message is sent when the one before it is confirmed.",
		Example: "  echo '{\"seq\":1}' | danube-connect-gen produce /default/events --key k1\n" +
			"  danube-connect-gen produce /default/events --from-file lines.json --rate 100",
		Args: exactTopic(&opts.topic),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return produceRun(ctx, io, opts)
		},
	}
	opts.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&opts.file, "from-file", "", "read the lines of this `FILE` instead of standard input")
	f.StringVar(&opts.key, "key", "", "routing key of every message")
	f.StringToStringVar(&opts.attributes, "attribute", nil, "attribute `NAME=VALUE` of every message; may be repeated")
	f.IntVar(&opts.count, "count", 0, "stop after this many messages; 0 sends all lines")
	f.Float64Var(&opts.rate, "rate", 0, "messages a second; 0 is as fast as they are confirmed")
	f.BoolVar(&opts.reliable, "reliable", true, "make or use the topic as one that keeps its messages")
	return cmd
}

func produceRun(ctx context.Context, s streams, opts produceOptions) error {
	in := s.in
	if opts.file != "" {
		f, err := os.Open(opts.file)
		if err != nil {
			return badInput("produce", fmt.Errorf("--from-file: %w", err), "name a file that can be read")
		}
		defer f.Close()
		in = f
	}
	client, err := opts.client("produce")
	if err != nil {
		return err
	}
	defer client.Close()
	p, err := client.NewProducer(danube.ProducerSettings{Topic: opts.topic, Name: "danube-connect-gen", Reliable: opts.reliable})
	if err != nil {
		return badInput("produce", err, "see danube-connect-gen produce --help")
	}
	start := time.Now()
	sent, err := opts.send(ctx, p, bufio.NewReader(in))
	if err == nil || sent > 0 {
		fmt.Fprintf(s.out, "%d messages to %s in %v\n", sent, opts.topic, time.Since(start).Round(time.Millisecond))
	}
	return err
}

// send publishes lines until their end, the count or the end of ctx, and tells how many were confirmed.
func (o *produceOptions) send(ctx context.Context, p *danube.Producer, lines *bufio.Reader) (sent int, err error) {
	if err := o.within(ctx, p.Register); err != nil {
		return 0, o.failed(ctx, p, err)
	}
	start := time.Now()
	for o.count == 0 || sent < o.count {
		line, end := lines.ReadBytes('\n')
		if end != nil && end != io.EOF {
			return sent, &failure{exit: exitFailed, code: "failed", what: "produce", err: fmt.Errorf("read lines: %w", end)}
		}
		if len(line) > 0 {
			if err := o.pace(ctx, start, sent); err != nil {
				return sent, o.failed(ctx, p, err)
			}
			m := danube.Message{Key: o.key, Attributes: o.attributes, Payload: bytes.TrimRight(line, "\r\n")}
			if err := o.within(ctx, func(ctx context.Context) error { return p.Send(ctx, m) }); err != nil {
				return sent, o.failed(ctx, p, err)
			}
			sent++
		}
		if end == io.EOF {
			break
		}
	}
	return sent, nil
}

// pace waits until message n is due.
func (o *produceOptions) pace(ctx context.Context, start time.Time, n int) error {
	if o.rate <= 0 {
		return nil
	}
	due := start.Add(time.Duration(float64(n) / o.rate * float64(time.Second)))
	select {
	case <-time.After(time.Until(due)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *produceOptions) failed(ctx context.Context, p *danube.Producer, err error) error {
	switch {
	case ctx.Err() != nil:
		return cancelled("produce")
	case errors.Is(err, errNoAnswer):
		return o.unreachable("produce", p.Health())
	default:
		return &failure{exit: exitFailed, code: "refused", what: "produce", err: err}
	}
}
