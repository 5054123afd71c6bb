package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// imitation is what of the real broker's behaviour the development broker takes on.
type imitation struct {
	version   string // of the whole profile; empty for none
	traps     []string
	seed      uint64
	window    int
	setWindow bool // the window was asked for, and goes before that of the profile
}

func (i *imitation) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&i.version, "imitate", "", "`VERSION` of the real broker to be as treacherous as: v0.15 or v0.14")
	cmd.Flags().StringSliceVar(&i.traps, "trap", nil, "`NAME` of one behaviour of the real broker, see broker traps; may be repeated")
	cmd.Flags().Uint64Var(&i.seed, "seed", 1, "where the randomness of traps begins")
}

// options are the settings of the broker.
func (i *imitation) options() []danubetest.Option {
	opts := []danubetest.Option{danubetest.Window(i.window), danubetest.Seed(i.seed), danubetest.Trap(i.traps...)}
	if i.version != "" {
		opts = append(opts, danubetest.Imitate(i.version))
	}
	if i.setWindow {
		opts = append(opts, danubetest.Window(i.window))
	}
	return opts
}

func newTrapsCmd(io streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "traps",
		Short: "List the behaviours of the real broker that --imitate and --trap switch on",
		Args:  atMost(0),
		RunE:  func(*cobra.Command, []string) error { return trapsRun(io, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// trapData is one trap as `broker traps --json` prints it.
type trapData struct {
	Name    string   `json:"name"`
	Summary string   `json:"summary"`
	Needs   []string `json:"needs,omitempty"`
}

func trapsRun(io streams, asJSON bool) error {
	all := danubetest.Traps()
	if asJSON {
		data := make([]trapData, len(all))
		for i, t := range all {
			data[i] = trapData{Name: t.Name, Summary: t.Summary, Needs: t.Needs}
		}
		return printJSON(io.out, envelope{OK: true, Data: data})
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	for _, t := range all {
		needs := ""
		if len(t.Needs) > 0 {
			needs = " (with " + strings.Join(t.Needs, ", ") + ")"
		}
		fmt.Fprintf(w, "%s\t%s%s\n", t.Name, t.Summary, needs)
	}
	return w.Flush()
}
