package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMain also is the program that the suite starts its processes from.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		exit(play(role, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// Every scenario runs with every contestant, though not for long enough to measure anything.
func TestScenarios(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	only := regexp.MustCompile("")
	if testing.Short() { // one of each kind: with the race detector each process takes a second longer to end
		only = regexp.MustCompile("in-flight=190/bytes=1024|consume/window=10$|both|/reliable")
	}
	err := run(t.Context(), []string{"run", "-rounds", "1", "-scale", "0.02", "-out", dir, "-name", "small", "-only", only.String()}, &out)
	if err != nil {
		t.Fatal(err)
	}
	report, err := readReport(filepath.Join(dir, "small.json"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := slices.DeleteFunc(slices.Clone(scenarios), func(s Scenario) bool { return !only.MatchString(s.Name) })
	if len(report.Results) != len(wanted) {
		t.Fatalf("%d of %d scenarios have results", len(report.Results), len(wanted))
	}
	for _, r := range report.Results {
		for _, c := range r.Order {
			o := r.median(c)
			if o.Messages == 0 || o.Seconds <= 0 || o.CPU <= 0 || o.PeakMiB <= 0 || o.BrokerCPU <= 0 {
				t.Errorf("%s, %s: %+v", r.Scenario, c, o)
			}
			if latency := strings.HasPrefix(r.Scenario, "latency"); latency && (o.P50 <= 0 || o.P99 < o.P50) {
				t.Errorf("%s, %s: p50 %v, p99 %v", r.Scenario, c, o.P50, o.P99)
			}
		}
	}
	table, err := os.ReadFile(filepath.Join(dir, "small.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range wanted {
		if n := strings.Count(string(table), "| "+s.Name+" |"); n != len(s.Contestants) {
			t.Errorf("the table has %d rows of %s", n, s.Name)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, perSecond int) string {
		r := Report{Name: name, Results: []Result{{Scenario: "s", Order: []string{"raw", "client"}, Outcomes: map[string][]Outcome{
			"raw": {{Messages: 1000, Seconds: 1}}, "client": {{Messages: perSecond, Seconds: 1}, {Messages: 1, Seconds: 1}, {Messages: 9000, Seconds: 1}},
		}}}}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"compare", write("old", 500), write("new", 750)}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "| s | client | 500 | 750 | +50 % | 0.50 | 0.75 |"; !strings.Contains(out.String(), want) {
		t.Fatalf("%s\nlacks %s", out.String(), want)
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "run -only none", "run -rounds 0", "run -only [", "compare a", "compare /none /none"} {
		if err := run(t.Context(), strings.Fields(args), &bytes.Buffer{}); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
