package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
)

type listOptions struct {
	kind string // only this one; empty for all
	json bool
}

func newListCmd(io streams, gen *scaffold.Generator) *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:   "list [KIND]",
		Short: "List the systems that connectors can be written for",
		Args:  atMost(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.kind = args[0]
			}
			return listRun(io, gen.Catalog, opts)
		},
		ValidArgs: catalog.Kinds(),
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func listRun(io streams, cat *catalog.Catalog, opts listOptions) error {
	entries := cat.All()
	if opts.kind != "" {
		if err := cat.CheckKind(opts.kind); err != nil {
			return unknownName("list", err)
		}
		entries = cat.Of(opts.kind)
	}
	if opts.json {
		return printJSON(io.out, envelope{OK: true, Data: entries})
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Kind, e.System, e.Summary)
	}
	return w.Flush()
}
