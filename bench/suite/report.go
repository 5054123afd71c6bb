package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A Report is what a run found.
type Report struct {
	Name    string   `json:"name"`
	Machine Machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Scale   float64  `json:"scale"`
	Results []Result `json:"results"`
}

// A Machine says where a report comes from.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	System string `json:"system"`
	Go     string `json:"go"`
}

// A Result is a scenario's: all rounds of each contestant.
type Result struct {
	Scenario string               `json:"scenario"`
	Order    []string             `json:"order"` // of contestants
	Outcomes map[string][]Outcome `json:"outcomes"`
}

// median is the contestant's outcome of median throughput, or of median p99 where latency is what is measured.
func (r *Result) median(contestant string) Outcome {
	all := slices.Clone(r.Outcomes[contestant])
	if len(all) == 0 {
		return Outcome{}
	}
	slices.SortFunc(all, func(a, b Outcome) int {
		if a.P99 > 0 {
			return compareFloats(a.P99, b.P99)
		}
		return compareFloats(a.Throughput(), b.Throughput())
	})
	return all[len(all)/2]
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

const header = "| scenario | contestant | msg/s | of the first | cpu µs/msg | broker cpu µs/msg | allocs/msg | peak MiB | p50 ms | p99 ms |\n" +
	"| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"

// rows are the result's lines of the table.
func (r *Result) rows() string {
	var b strings.Builder
	first := r.median(r.Order[0])
	for _, c := range r.Order {
		o := r.median(c)
		latency := "| | "
		if o.P99 > 0 {
			latency = fmt.Sprintf("| %.2f | %.2f ", o.P50, o.P99)
		}
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.2f | %.1f | %.1f | %.1f | %.0f %s|\n",
			r.Scenario, c, o.Throughput(), o.Throughput()/first.Throughput(), o.CPU, o.BrokerCPU, o.Allocs, o.PeakMiB, latency)
	}
	return b.String()
}

func (r *Report) markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "# %s\n\n%s, %d cores, %s, %s, %s. Median of %d rounds; server and contestant are processes of their own on loopback.\n\n%s",
		r.Name, m.CPU, m.Cores, m.Memory, m.System, m.Go, r.Rounds, header)
	for i := range r.Results {
		b.WriteString(r.Results[i].rows())
	}
	return b.String()
}

func (r *Report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, r.Name)
	if err := os.WriteFile(path+".json", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(path+".md", []byte(r.markdown()), 0o644)
}

func compareFiles(out io.Writer, oldPath, newPath string) error {
	before, err := readReport(oldPath)
	if err != nil {
		return err
	}
	after, err := readReport(newPath)
	if err != nil {
		return err
	}
	if before.Machine != after.Machine {
		fmt.Fprintf(out, "the machines differ: %+v and %+v; compare ratios only\n", before.Machine, after.Machine)
	}
	fmt.Fprint(out, "| scenario | contestant | msg/s before | after | change | ratio before | after |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for i := range after.Results {
		now := &after.Results[i]
		j := slices.IndexFunc(before.Results, func(r Result) bool { return r.Scenario == now.Scenario })
		if j < 0 {
			continue
		}
		then := &before.Results[j]
		for _, c := range now.Order {
			a, b := then.median(c), now.median(c)
			if a.Messages == 0 {
				continue
			}
			limitThen, limitNow := then.median(then.Order[0]), now.median(now.Order[0])
			fmt.Fprintf(out, "| %s | %s | %.0f | %.0f | %+.0f %% | %.2f | %.2f |\n", now.Scenario, c, a.Throughput(), b.Throughput(),
				100*(b.Throughput()/a.Throughput()-1), a.Throughput()/limitThen.Throughput(), b.Throughput()/limitNow.Throughput())
		}
	}
	return nil
}

func readReport(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

func thisMachine() Machine {
	return Machine{
		CPU: firstField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: firstField("/proc/meminfo", "MemTotal"),
		System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
}

// firstField is the value of the first line "key : value" of a file, "unknown" when there is none.
func firstField(path, key string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown " + key
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown " + key
}
