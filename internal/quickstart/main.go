// Command quickstart shows the main job end to end on real input: it generates a file source and an HTTP sink, builds both, runs them
// against the embedded broker, kills each once, and proves that nothing was lost. `make quickstart` runs it.
//
// With KEEP=1 in the environment everything stays running at the end, until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "receive" {
		exit(receive(os.Args[2]))
	}
	records := flag.Int("records", 50_000, "least number of lines")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, *records, os.Getenv("KEEP") == "1"))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run does the whole demonstration in a temporary folder, which is removed at the end.
func run(ctx context.Context, records int, keep bool) error {
	dir, err := os.MkdirTemp("", "danube-quickstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	checkout, err := checkoutDir()
	if err != nil {
		return err
	}
	d := &demo{dir: dir, checkout: checkout, procs: new(processes)}
	defer d.procs.stopAll()

	lines, err := history(ctx, checkout)
	if err != nil {
		return err
	}
	steps := []func(context.Context) error{
		d.generate,
		d.build,
		func(ctx context.Context) error { return d.move(ctx, lines, records) },
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	ok, err := d.report(keep)
	if err != nil {
		return err
	}
	if keep {
		d.tellWhereToLook()
		<-ctx.Done()
	}
	if !ok {
		return errors.New("the table shows a failure")
	}
	return nil
}

// checkoutDir is the root of this repository: the folder above that holds go.mod and templates/.
func checkoutDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "templates", "templates.go")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this inside the repository")
		}
		dir = parent
	}
}
