package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

// report stops the connectors, prints the table and tells whether all is as it must be.
func (d *demo) report() (ok bool, err error) {
	for _, name := range []string{sourceName, sinkName} {
		if os.Getenv("KEEP") == "1" {
			break
		}
		if err := d.running(name).stop(); err != nil {
			return false, err
		}
	}
	if d.final, err = d.ask(); err != nil { // what came while they stopped counts as well
		return false, err
	}
	t := d.final
	var written, lost, doubled, disordered int
	digestsMatch := true
	want := d.digests()
	for _, w := range d.logs {
		f := t.Files[w.name]
		if f == nil {
			f = new(fileTally)
		}
		written += w.written
		lost += w.written - (f.Lines - f.Doubled)
		doubled += f.Doubled
		disordered += f.OutOfOrder
		digestsMatch = digestsMatch && f.Digest == want[w.name]
	}
	ok = lost == 0 && doubled == 0 && disordered == 0 && digestsMatch && d.killed == 2 && t.Published >= written

	fmt.Println()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name string, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("lines written", "%d (%s rotated by rename, %s by truncation)", written, d.logs[0].name, d.logs[1].name)
	row("records published", "%d", t.Published)
	row("deliveries", "%d", t.Deliveries)
	row("distinct event ids", "%d", t.Distinct)
	row("processes killed", "%d (kill -9 of sink and source)", d.killed)
	row("lost", "%d", lost)
	row("out of order per file", "%d", disordered)
	row("duplicates", "%d before, %d after removal by Idempotency-Key", t.Deliveries-t.Distinct, doubled)
	for _, w := range d.logs {
		f := t.Files[w.name]
		if f == nil {
			f = new(fileTally)
		}
		row("SHA-256 "+w.name, "%.16s… written, %.16s… received", want[w.name], f.Digest)
	}
	row("records/s", "%.0f (%d in %v, both kills included)", float64(t.Distinct)/d.moved.Seconds(), t.Distinct, d.moved.Round(10*time.Millisecond))
	row("latency line to target", "p50 %v, p99 %v (lines written while running, both kills included)",
		t.LiveP50.Round(100*time.Microsecond), t.LiveP99.Round(100*time.Microsecond))
	if os.Getenv("KEEP") != "1" {
		row("peak RSS", "%s %.0f MiB, %s %.0f MiB", sourceName, d.procs.peakMiB(sourceName), sinkName, d.procs.peakMiB(sinkName))
	}
	if err := table.Flush(); err != nil {
		return false, err
	}
	if ok {
		fmt.Println("\nEverything written has arrived: complete, in order, unchanged.")
	}
	return ok, nil
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
