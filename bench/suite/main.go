// Command suite measures the client against the raw limit of the same work, each contestant in a process of its own beside a broker in a
// process of its own, in turns.
//
//	suite run [-only REGEXP] [-rounds N] [-scale F] [-out DIR]   measure, write DIR/NAME.json and DIR/NAME.md
//	suite compare OLD.json NEW.json                              set two results side by side
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		exit(play(role, os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, os.Args[1:], os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) >= 1 && args[0] == "run":
		return runSuite(ctx, args[1:], out)
	case len(args) == 3 && args[0] == "compare":
		return compareFiles(out, args[1], args[2])
	}
	return fmt.Errorf("usage: suite run [-only REGEXP] [-rounds N] [-scale F] [-out DIR], or suite compare OLD.json NEW.json")
}

func runSuite(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	only := flags.String("only", "", "measure only scenarios whose name this regular expression matches")
	rounds := flags.Int("rounds", 3, "how often each contestant is measured; the median counts")
	scale := flags.Float64("scale", 1, "multiplies how much is measured at a time")
	dir := flags.String("out", "results", "folder of the results")
	name := flags.String("name", time.Now().UTC().Format("2006-01-02T150405Z"), "name of the results")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if *rounds < 1 || *scale <= 0 {
		return fmt.Errorf("-rounds and -scale must be above 0")
	}
	report := Report{Name: *name, Machine: thisMachine(), Rounds: *rounds, Scale: *scale}
	for _, s := range scenarios {
		if !match.MatchString(s.Name) {
			continue
		}
		result, err := measure(ctx, s, *rounds, *scale)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		fmt.Fprintln(out, strings.TrimRight(result.rows(), "\n"))
		report.Results = append(report.Results, result)
	}
	if len(report.Results) == 0 {
		return fmt.Errorf("no scenario matches %q", *only)
	}
	if err := report.write(*dir); err != nil {
		return err
	}
	fmt.Fprintln(out, "written to", filepath.Join(*dir, *name)+".json and .md")
	return nil
}
