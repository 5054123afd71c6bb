package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
)

// atMost refuses more than n arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return badInput(cmd.Name(), fmt.Errorf("unexpected argument %q", args[n]), "usage: "+cmd.UseLine())
	}
}

// unknownName reports a name that the catalogue does not have, with the nearest ones that it has.
func unknownName(what string, err error) error {
	f := badInput(what, err, "")
	f.code = "unknown_name"
	var unknown *catalog.UnknownError
	if errors.As(err, &unknown) {
		f.mend = unknown.Suggestion()
	}
	return f
}
