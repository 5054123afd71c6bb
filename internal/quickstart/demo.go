package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const topic = "/default/history"

// Names of the processes.
const (
	brokerName   = "broker"
	receiverName = "receiver"
	sourceName   = "history-source"
	sinkName     = "history-sink"
)

// A demo is one run of the demonstration.
type demo struct {
	dir, checkout string
	procs         *processes
	ports         ports
	logs          []*logWriter
	started       time.Time
	moved         time.Duration
	killed        int
}

type ports struct{ broker, admin, receiver, sourceHTTP, sinkHTTP string }

func (d *demo) bin(name string) string { return filepath.Join(d.dir, "bin", name) }

// shell runs a command that a user would type, and shows it as such.
func (d *demo) shell(ctx context.Context, dir, program string, args ...string) error {
	shown := strings.ReplaceAll(strings.Join(append([]string{filepath.Base(program)}, args...), " "), d.dir+"/", "")
	fmt.Println("$", shown)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", shown, err, out)
	}
	for l := range strings.Lines(string(out)) {
		fmt.Print("  ", strings.ReplaceAll(l, d.dir+"/", ""))
	}
	return nil
}

func (d *demo) generate(ctx context.Context) error {
	gen := d.bin("danube-connect-gen")
	return errors.Join(
		d.shell(ctx, d.checkout, "go", "build", "-o", gen, "./cmd/danube-connect-gen"),
		d.shell(ctx, d.dir, gen, "new", "source", "file", "--module", "example.com/demo/"+sourceName, "--topic", topic),
		d.shell(ctx, d.dir, gen, "new", "sink", "http", "--module", "example.com/demo/"+sinkName, "--topic", topic),
	)
}

func (d *demo) build(ctx context.Context) error {
	return errors.Join(
		d.shell(ctx, filepath.Join(d.dir, sourceName), "go", "build", "-o", d.bin(sourceName), "."),
		d.shell(ctx, filepath.Join(d.dir, sinkName), "go", "build", "-o", d.bin(sinkName), "."),
	)
}

// move runs everything and returns when every line has arrived or none comes any more.
func (d *demo) move(ctx context.Context, commits []commit, records int) error {
	perFile := (records + 1) / 2
	if err := d.openLogs(commits); err != nil {
		return err
	}
	before := perFile / 2
	for _, w := range d.logs {
		if err := w.write(before); err != nil {
			return err
		}
	}
	fmt.Printf("wrote %d lines of history to %s and %s; the rest follows while the connectors run\n", 2*before, d.logs[0].name, d.logs[1].name)
	if err := d.launch(ctx); err != nil {
		return err
	}
	d.started = time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.writeRest(groupCtx, 2*before, perFile-before) })
	group.Go(func() error { return d.killOnTheWay(groupCtx, 2*perFile) })
	group.Go(func() error { return d.showProgress(groupCtx, 2*perFile) })
	return group.Wait()
}

func (d *demo) openLogs(commits []commit) error {
	folder := filepath.Join(d.dir, "logs")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"renamed.log", "truncated.log"} {
		w, err := newLogWriter(filepath.Join(folder, name), name, commits)
		if err != nil {
			return err
		}
		d.logs = append(d.logs, w)
	}
	return nil
}

// launch starts broker, receiver, sink and source. The sink comes first: a new subscription starts at the newest message.
func (d *demo) launch(ctx context.Context) error {
	if err := d.pickPorts(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	_, errBroker := d.startShown(brokerName, nil, d.bin("danube-connect-gen"), "broker", "--listen", d.ports.broker, "--admin-listen", d.ports.admin)
	_, errReceiver := d.procs.start(receiverName, d.dir, nil, self, "receive", d.ports.receiver)
	_, errSink := d.startSink()
	if err := errors.Join(errBroker, errReceiver, errSink); err != nil {
		return err
	}
	if err := d.ready(ctx, sinkName, d.ports.sinkHTTP); err != nil {
		return err
	}
	_, err = d.startSource()
	return err
}

func (d *demo) startSink() (*process, error) {
	return d.startShown(sinkName, []string{
		"DANUBE_SERVICE_URL=http://" + d.ports.broker, "HTTP_URL=http://" + d.ports.receiver + "/events", "METRICS_HOST=127.0.0.1",
		"METRICS_PORT=" + portOf(d.ports.sinkHTTP),
	}, d.bin(sinkName), "--config", filepath.Join(d.dir, sinkName, "connector.toml"))
}

func (d *demo) startSource() (*process, error) {
	return d.startShown(sourceName, []string{
		"DANUBE_SERVICE_URL=http://" + d.ports.broker, "FILE_PATHS=logs/*.log", "METRICS_HOST=127.0.0.1",
		"METRICS_PORT=" + portOf(d.ports.sourceHTTP), "STATE_DIR=state",
	}, d.bin(sourceName), "--config", filepath.Join(d.dir, sourceName, "connector.toml"))
}

func (d *demo) startShown(name string, env []string, program string, args ...string) (*process, error) {
	words := append(append([]string{}, env...), append([]string{filepath.Base(program)}, args...)...)
	fmt.Println("$", strings.ReplaceAll(strings.Join(words, " "), d.dir+"/", ""), "&")
	return d.procs.start(name, d.dir, env, program, args...)
}

// pickPorts takes free ports of the loopback address.
func (d *demo) pickPorts() error {
	for _, p := range []*string{&d.ports.broker, &d.ports.admin, &d.ports.receiver, &d.ports.sourceHTTP, &d.ports.sinkHTTP} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*p = l.Addr().String()
		defer l.Close() // all are held until the last is taken
	}
	return nil
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// ready waits for a connector's /ready.
func (d *demo) ready(ctx context.Context, name, addr string) error {
	reason := "no answer"
	err := waitUntil(ctx, 30*time.Second, name+" to be ready", func() bool {
		resp, err := http.Get("http://" + addr + "/ready")
		if err != nil {
			reason = err.Error()
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		reason = string(body)
		return resp.StatusCode == http.StatusOK
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, reason)
	}
	return nil
}

// writeRest goes on writing both files at a steady pace, n lines each, and rotates each half-way. It begins when the lines from before
// have nearly arrived, so that the latency of a new line is its own and not that of the queue before it.
func (d *demo) writeRest(ctx context.Context, before, n int) error {
	if err := d.reach(ctx, before*9/10); err != nil {
		return err
	}
	const rate = 800 // lines a second and file
	group, ctx := errgroup.WithContext(ctx)
	rotate := []func() error{d.logs[0].rotateByRename, d.logs[1].rotateByTruncation}
	for i, w := range d.logs {
		group.Go(func() error {
			if err := w.pace(ctx, n/2, rate); err != nil {
				return err
			}
			if err := rotate[i](); err != nil {
				return fmt.Errorf("rotate %s: %w", w.name, err)
			}
			return w.pace(ctx, n-n/2, rate)
		})
	}
	return group.Wait()
}

// killOnTheWay ends the sink without notice half-way and starts it again, then the source.
func (d *demo) killOnTheWay(ctx context.Context, total int) error {
	for _, k := range []struct {
		name  string
		at    int
		start func() (*process, error)
	}{
		{sinkName, total / 2, d.startSink}, // while the file is followed
		{sourceName, total * 7 / 10, d.startSource},
	} {
		if err := d.reach(ctx, k.at); err != nil {
			return err
		}
		p := d.running(k.name)
		fmt.Printf("\n$ kill -9 %d   # %s\n", p.cmd.Process.Pid, k.name)
		if err := p.kill(); err != nil {
			return err
		}
		d.killed++
		if _, err := k.start(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) running(name string) *process {
	d.procs.mu.Lock()
	defer d.procs.mu.Unlock()
	for i := len(d.procs.all) - 1; i >= 0; i-- {
		if p := d.procs.all[i]; p.name == name {
			return p
		}
	}
	return nil
}

// reach waits until the receiver has n distinct records.
func (d *demo) reach(ctx context.Context, n int) error {
	return waitUntil(ctx, 2*time.Minute, fmt.Sprintf("%d records to arrive", n), func() bool {
		have, err := d.count()
		return err == nil && have >= n
	})
}

// showProgress returns when total records have arrived, or an error when none has for a while.
func (d *demo) showProgress(ctx context.Context, total int) error {
	const patience = 30 * time.Second
	last, since := -1, time.Now()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	shown := newProgress(total)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		n, err := d.count()
		if err != nil {
			continue
		}
		if n != last {
			last, since = n, time.Now()
		}
		shown.update(n)
		switch {
		case n >= total:
			d.moved = time.Since(d.started)
			return nil
		case time.Since(since) > patience:
			return fmt.Errorf("nothing has arrived for %v, %d of %d records are there\n%s:\n%s\n%s:\n%s", patience, n, total,
				sourceName, d.running(sourceName).tail(), sinkName, d.running(sinkName).tail())
		}
	}
}

// count gets how many distinct records the receiver has.
func (d *demo) count() (n int, err error) {
	resp, err := http.Get("http://" + d.ports.receiver + "/count")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = fmt.Fscan(resp.Body, &n)
	return n, err
}

// ask gets the receiver's tally.
func (d *demo) ask() (tally, error) {
	var t tally
	resp, err := http.Get("http://" + d.ports.receiver + "/tally")
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	return t, json.NewDecoder(resp.Body).Decode(&t)
}
