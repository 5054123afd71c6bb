package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// versionData is what `version --json` prints as data.
type versionData struct {
	Version  string `json:"version"`
	Runtime  string `json:"runtime"`            // runtime version that new repositories require
	Go       string `json:"go"`                 // toolchain that built the command
	Checkout string `json:"checkout,omitempty"` // where the runtime comes from when this is no release
}

func newVersionCmd(io streams, b build) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Tell the versions of the command and of the runtime that it pins",
		Args:  atMost(0),
		RunE:  func(*cobra.Command, []string) error { return versionRun(io, b, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func versionRun(io streams, b build, asJSON bool) error {
	d := versionData{Version: b.version, Runtime: b.runtime.Version, Go: runtime.Version(), Checkout: b.checkout}
	if asJSON {
		return printJSON(io.out, envelope{OK: true, Data: d})
	}
	from := ""
	if d.Checkout != "" {
		from = ", from " + d.Checkout
	}
	_, err := fmt.Fprintf(io.out, "danube-connect-gen %s (runtime %s%s; %s)\n", d.Version, d.Runtime, from, d.Go)
	return err
}
