package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// A result compares what was written with what the receiver got.
type result struct {
	tally
	written, lost, doubled, disordered int
	want                               map[string]string // SHA-256 of what was written, by file
	digestsMatch                       bool
	killed                             int
}

// judge makes the result of what the writers wrote, t, and the number of processes killed on the way.
func judge(logs []*logWriter, t tally, killed int) result {
	r := result{tally: t, want: make(map[string]string), digestsMatch: true, killed: killed}
	for _, w := range logs {
		f := r.file(w.name)
		r.want[w.name] = hex.EncodeToString(w.digest.Sum(nil))
		r.written += w.written
		r.lost += w.written - (f.Lines - f.Doubled)
		r.doubled += f.Doubled
		r.disordered += f.OutOfOrder
		r.digestsMatch = r.digestsMatch && f.Digest == r.want[w.name]
	}
	return r
}

func (r result) file(name string) fileTally {
	if f := r.Files[name]; f != nil {
		return *f
	}
	return fileTally{}
}

// ok tells whether everything has arrived, once and in order, although both connectors were killed.
func (r result) ok() bool {
	return r.written > 0 && r.lost == 0 && r.doubled == 0 && r.disordered == 0 && r.digestsMatch && r.Published >= r.written && r.killed == 2
}

// report stops the connectors, unless they are to be kept, prints the table and tells whether all is as it must be.
func (d *demo) report(keep bool) (ok bool, err error) {
	if !keep {
		for _, name := range []string{sourceName, sinkName} {
			if err := d.running(name).stop(); err != nil {
				return false, err
			}
		}
	}
	t, err := d.ask() // what came while they stopped counts as well
	if err != nil {
		return false, err
	}
	r := judge(d.logs, t, d.killed)
	if err := d.table(os.Stdout, r, keep); err != nil {
		return false, err
	}
	if r.ok() {
		fmt.Println("\nEverything written has arrived: complete, in order, unchanged.")
	}
	return r.ok(), nil
}

func (d *demo) table(out io.Writer, r result, keep bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(table)
	row("lines written", "%d (%s rotated by rename, %s by truncation)", r.written, d.logs[0].name, d.logs[1].name)
	row("records published", "%d", r.Published)
	row("deliveries", "%d", r.Deliveries)
	row("distinct event ids", "%d", r.Distinct)
	row("processes killed", "%d (kill -9 of sink and source)", r.killed)
	row("lost", "%d", r.lost)
	row("out of order per file", "%d", r.disordered)
	row("duplicates", "%d before, %d after removal by Idempotency-Key", r.Deliveries-r.Distinct, r.doubled)
	for _, w := range d.logs {
		row("SHA-256 "+w.name, "%.16s… written, %.16s… received", r.want[w.name], r.file(w.name).Digest)
	}
	row("records/s", "%.0f (%d in %v, both kills included)", float64(r.Distinct)/d.moved.Seconds(), r.Distinct, d.moved.Round(10*time.Millisecond))
	row("latency line to target", "p50 %v, p99 %v (lines written while running, both kills included)",
		r.LiveP50.Round(100*time.Microsecond), r.LiveP99.Round(100*time.Microsecond))
	if !keep {
		row("peak RSS", "%s %.0f MiB, %s %.0f MiB", sourceName, d.procs.peakMiB(sourceName), sinkName, d.procs.peakMiB(sinkName))
	}
	return table.Flush()
}

func (d *demo) tellWhereToLook() {
	fmt.Printf(`
Everything is still running in %[1]s. Look at
  http://%[2]s/metrics and /ready   the source
  http://%[3]s/metrics and /ready   the sink
  http://%[4]s/tally                what the receiver got
and try
  echo '{"file":"renamed.log","seq":1000000}' >> %[1]s/logs/renamed.log
  %[5]s topics --admin http://%[6]s
  %[5]s consume %[7]s --broker http://%[8]s --subscription look
Ctrl-C stops all and removes the folder.
`, d.dir, d.ports.sourceHTTP, d.ports.sinkHTTP, d.ports.receiver, d.bin("danube-connect-gen"), d.ports.admin, topic, d.ports.broker)
}

// A progress shows how far the work is: redrawn on a terminal, a line every tenth elsewhere.
type progress struct {
	total, shown int
	terminal     bool
}

func newProgress(total int) *progress {
	return &progress{total: total, shown: -1, terminal: term.IsTerminal(int(os.Stdout.Fd()))}
}

func (p *progress) update(n int) {
	percent := 100 * n / p.total
	switch {
	case p.terminal:
		fmt.Printf("\r%3d %%  %d of %d records have arrived ", percent, n, p.total)
	case percent/10 > p.shown:
		p.shown = percent / 10
		fmt.Printf("%3d %%  %d of %d records have arrived\n", percent, n, p.total)
	}
}
