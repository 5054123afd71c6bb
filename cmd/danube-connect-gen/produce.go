package main

import (
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
	jsonLines  bool
	size       int64 // bytes of the file; 0 when unknown
}

func newProduceCmd(io streams) *cobra.Command {
	var opts produceOptions
	cmd := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Publish lines as messages",
		Long: "Publish each line of standard input, or of a file, as one message. A message is sent when the one before it is confirmed.\n" +
			"Ctrl-C stops after the message on its way; the exit status is 130 then.",
		Example: "  echo '{\"seq\":1}' | danube-connect-gen produce /default/events --key k1\n" +
			"  danube-connect-gen produce /default/events --from-file lines.json --rate 100\n" +
			"  danube-connect-gen consume /default/events --json --count 10 | danube-connect-gen produce /default/copy --json-lines",
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
	f.BoolVar(&opts.jsonLines, "json-lines", false, "each line is a JSON object with value or value_base64, key and attributes, as consume --json prints it")
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
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			opts.size = info.Size()
		}
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
	bar := newProgress(s.err)
	sent, err := opts.send(ctx, p, in, bar)
	bar.clear()
	if err == nil || sent > 0 || ctx.Err() != nil {
		fmt.Fprintln(s.out, summary(sent, "to "+opts.topic, time.Since(bar.start)))
	}
	return err
}

// send publishes lines until their end, the count or the end of ctx, and tells how many were confirmed.
func (o *produceOptions) send(ctx context.Context, p *danube.Producer, in io.Reader, bar *progress) (sent int, err error) {
	if err := o.within(ctx, p.Register); err != nil {
		return 0, o.failed(ctx, p, err)
	}
	done := make(chan struct{})
	defer close(done)
	lines := readLines(in, done)
	start := time.Now()
	var read int64
	for n := 1; o.count == 0 || sent < o.count; n++ {
		var l line
		select {
		case <-ctx.Done():
			return sent, cancelled("produce")
		case l = <-lines:
		}
		if l.err == io.EOF {
			break
		}
		if l.err != nil {
			return sent, &failure{exit: exitFailed, code: "failed", what: "produce", err: fmt.Errorf("read lines: %w", l.err)}
		}
		m, err := o.message(l.text)
		if err != nil {
			return sent, badInput("produce", fmt.Errorf("line %d: %w", n, err), "write JSON objects as consume --json prints them")
		}
		if err := o.pace(ctx, start, sent); err != nil {
			return sent, o.failed(ctx, p, err)
		}
		if err := o.sendOne(ctx, p, m); err != nil {
			return sent, o.failed(ctx, p, err)
		}
		sent++
		read += int64(l.size)
		bar.update(sent, o.share(sent, read))
	}
	return sent, nil
}

// grace is how long the broker has to confirm a message after the user wants to stop.
const grace = time.Second

// sendOne does not let go of a message that is on its way when ctx ends, so that what the summary counts is what the broker has.
func (o *produceOptions) sendOne(ctx context.Context, p *danube.Producer, m danube.Message) error {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	return o.within(sending, func(ctx context.Context) error { return p.Send(ctx, m) })
}

// share is how much of the work is done, negative when nobody knows.
func (o *produceOptions) share(sent int, read int64) float64 {
	bySize := -1.0
	if o.size > 0 {
		bySize = float64(read) / float64(o.size)
	}
	return max(shareOf(sent, o.count), bySize)
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
		return refused("produce", err)
	}
}
