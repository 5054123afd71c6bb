// Command danube-connect-gen writes repositories of connectors for the Danube message broker, and helps to work on them.
package main

import (
	"errors"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
	"github.com/danube-messaging/danube-connect-go/templates"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	io := streams{in: stdin, out: stdout, err: stderr}
	b := ownBuild()
	gen, err := scaffold.New(templates.FS, b.version)
	if err == nil {
		err = execute(newRootCmd(io, b, gen), args)
	}
	return report(io, err, slices.Contains(args, "--json"))
}

func execute(root *cobra.Command, args []string) error {
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	var f *failure
	if err == nil || errors.As(err, &f) {
		return err
	}
	return &failure{exit: exitFailed, code: "failed", what: cmd.Name(), err: err}
}

func newRootCmd(io streams, b build, gen *scaffold.Generator) *cobra.Command {
	root := &cobra.Command{
		Use:   "danube-connect-gen",
		Short: "Write connectors for the Danube message broker",
		Long: "danube-connect-gen writes complete repositories of connectors for the Danube message broker: they build, pass their\n" +
			"tests and run as they are.",
		Example: "  danube-connect-gen list\n" +
			"  danube-connect-gen new sink http --module example.com/you/hook",
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return badInput(cmd.Name(), err, "see "+cmd.CommandPath()+" --help")
	})
	root.AddCommand(
		newNewCmd(io, b, gen),
		newListCmd(io, gen),
		newBrokerCmd(io),
		newProduceCmd(io),
		newConsumeCmd(io),
		newTopicsCmd(io),
		newSubscriptionsCmd(io),
		newVersionCmd(io, b),
		newManCmd(),
	)
	return root
}

// noSuchCommand refuses arguments that are no subcommand and names the nearest ones.
func noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return unknownCommand(args[0], names)
}
