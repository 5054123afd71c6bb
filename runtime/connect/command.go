package connect

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/option"
)

// RunSink is the whole main function of a sink: it runs the command that the arguments name and ends the process with its exit
// status. Name is the table of the configuration file that fills C, whose fields say by their tags what they are (see [Secret] for
// passwords); a method Validate() error on C is called when it has one.
//
// Open makes one sink on the external system. It is called once for each route and worker, and again after it failed unless the error
// is marked [Fatal].
//
// The commands are run (the default), validate, config sample|docs|schema, spool show|export|drain and version; exit status 0 means done or stopped by a
// signal, 1 failed, 2 bad input.
func RunSink[C any](name string, open func(context.Context, C) (Sink, error)) {
	runMain(sinkConnector(name, open))
}

// RunSource is RunSink for a source. Open gets the position after the last record that is safe in Danube, nil at the first start.
func RunSource[C any](name string, open func(context.Context, C, Position) (Source, error)) {
	runMain(sourceConnector(name, open))
}

// A Process is what a command sees of the process that it runs in.
type Process struct {
	Args   []string // without the program's name
	Env    []string // as os.Environ gives it
	Stdout io.Writer
	Stderr io.Writer
}

// SinkCommand runs one command of a sink's binary until it is done or ctx is; see [RunSink]. It returns the exit status.
func SinkCommand[C any](ctx context.Context, p Process, name string, open func(context.Context, C) (Sink, error)) int {
	return command(ctx, p, sinkConnector(name, open))
}

// SourceCommand is SinkCommand for a source.
func SourceCommand[C any](ctx context.Context, p Process, name string, open func(context.Context, C, Position) (Source, error)) int {
	return command(ctx, p, sourceConnector(name, open))
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func runMain(c *connector) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	p := Process{Args: os.Args[1:], Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(command(ctx, p, c))
}

// errUsage marks what the caller typed or wrote wrong.
type errUsage struct{ error }

func command(ctx context.Context, p Process, c *connector) int {
	err := dispatch(ctx, p, c)
	var usage errUsage
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		printError(p.Stderr, c, err)
		return exitUsage
	default:
		printError(p.Stderr, c, err)
		return exitFailed
	}
}

// printError writes one line a problem.
func printError(w io.Writer, c *connector, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(w, "%s-%s: %s\n", c.kind, c.name, line)
	}
}

const usageText = `usage: %[1]s [run] [--config FILE]   move records until stopped
       %[1]s validate [--config FILE]   check the configuration
       %[1]s config sample|docs|schema  print a sample file, the table of options, the JSON Schema
       %[1]s config docs --write FILE   put the table between the option markers of FILE
       %[1]s spool show|export|drain    of a sink that is stopped: what waits on the disk, as JSON lines, into the target
       %[1]s version

The configuration file is that of --config, else of CONNECTOR_CONFIG_PATH, else of CONFIG_FILE; the environment overrides it.
`

func dispatch(ctx context.Context, p Process, c *connector) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", configFile(p.Env), "")
	write := flags.String("write", "", "")
	words, err := parseArgs(flags, p.Args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(p.Stdout, usageText, filepath.Base(os.Args[0]))
		return err
	}
	if err != nil {
		return errUsage{err}
	}
	switch strings.Join(words, " ") {
	case "", "run":
		return run(ctx, p, c, *file)
	case "validate":
		return validate(p, c, *file)
	case "config sample":
		return printSample(p.Stdout, c)
	case "config docs":
		return printDocs(p.Stdout, c, *write)
	case "config schema":
		return printSchema(p.Stdout, c)
	case "spool show", "spool export", "spool drain":
		return spoolCommand(ctx, p, c, words[1], *file)
	case "version":
		fmt.Fprintln(p.Stdout, Version())
		return nil
	}
	return errUsage{fmt.Errorf("unknown command %q; the commands are run, validate, config sample|docs|schema, spool show|export|drain, version", strings.Join(words, " "))}
}

// parseArgs takes flags before, between and after the words of the command.
func parseArgs(flags *flag.FlagSet, args []string) ([]string, error) {
	var words []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
}

func run(ctx context.Context, p Process, c *connector, file string) error {
	in, err := load(p, c, file)
	if err != nil {
		return err
	}
	log, err := newLogger(in.core, p.Stderr)
	if err != nil {
		return err
	}
	defer log.Sync() //nolint:errcheck // a terminal cannot be synced
	o := newOperations(in.core.Name)
	if in.core.Processing.MetricsPort != 0 {
		if err := o.serve(in.core.Processing.MetricsHost, in.core.Processing.MetricsPort); err != nil {
			return err
		}
	}
	log.Info("starting", zap.String("connector", in.core.Name), zap.String("route", in.what), zap.String("broker", in.core.ServiceURL),
		zap.String("version", Version()))
	err = in.run(ctx, in.core.settings(log, o))
	if err == nil {
		log.Info("stopped")
	}
	return errors.Join(err, o.close())
}

func validate(p Process, c *connector, file string) error {
	in, err := load(p, c, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "valid: %s\n", in.what)
	return nil
}

// load reads and checks the configuration and warns of keys that nobody knows.
func load(p Process, c *connector, file string) (*instance, error) {
	in, unknown, err := c.load(file, p.Env)
	for _, u := range unknown {
		fmt.Fprintf(p.Stderr, "warning: %s\n", u)
	}
	if err != nil {
		return nil, errUsage{err}
	}
	return in, nil
}

// Markers around the table of options in a README.
const (
	docsBegin = "<!-- options:begin -->"
	docsEnd   = "<!-- options:end -->"
)

func printSample(w io.Writer, c *connector) error {
	head := fmt.Sprintf("Configuration of this connector (%s %s). Commented options show their defaults.\n", c.name, c.kind)
	_, err := io.WriteString(w, option.Sample(head, c.options(), c.sample))
	return err
}

func printSchema(w io.Writer, c *connector) error {
	schema, err := option.Schema(fmt.Sprintf("Danube connector: %s %s", c.name, c.kind), c.options())
	if err != nil {
		return err
	}
	_, err = w.Write(schema)
	return err
}

func printDocs(w io.Writer, c *connector, file string) error {
	docs := option.Docs(c.options())
	if file == "" {
		_, err := io.WriteString(w, docs)
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return errUsage{fmt.Errorf("write docs: %w", err)}
	}
	head, rest, ok := strings.Cut(string(text), docsBegin)
	_, tail, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		return errUsage{fmt.Errorf("write docs: %s has no lines %s and %s to put them between", file, docsBegin, docsEnd)}
	}
	return os.WriteFile(file, []byte(head+docsBegin+"\n"+docs+docsEnd+tail), 0o644)
}

// Version is the running binary's version: that of its module, with the commit it was built from when the build recorded one.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
