package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newManCmd() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man",
		Short: "Write the manual pages to a directory",
		Args:  atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manRun(cmd.Root(), dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "directory to write to; it must be there")
	return cmd
}

func manRun(root *cobra.Command, dir string) error {
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Title: "DANUBE-CONNECT-GEN", Section: "1", Source: "danube-connect-gen", Manual: "Danube connectors"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return &failure{
			exit: exitEnvironment, code: "not_writable", what: "man",
			err: fmt.Errorf("write manual pages: %w", err), mend: "name a directory that can be written with --dir",
		}
	}
	return nil
}
