package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	valid := config{
		Paths: []string{"/var/log/*.log"}, Start: "end", PollInterval: time.Second, MaxLineBytes: 1 << 20, BatchLines: 1, BatchBytes: 1, Key: "path",
	}
	require.NoError(t, valid.Validate())
	tests := map[string]struct {
		change func(*config)
		want   string
	}{
		"no paths":       {func(c *config) { c.Paths = nil }, "paths: is empty; name at least one file or pattern"},
		"empty path":     {func(c *config) { c.Paths = []string{""} }, "paths: holds an empty path; remove it"},
		"bad pattern":    {func(c *config) { c.Paths = []string{"/a/[b"} }, `paths: "/a/[b" is not a pattern; write \[ for a bracket that is part of a name`},
		"bad exclude":    {func(c *config) { c.Exclude = []string{"[x"} }, `exclude: "[x" is not a pattern; write \[ for a bracket that is part of a name`},
		"start":          {func(c *config) { c.Start = "top" }, `start: "top" is unknown; use one of ["beginning" "end"]`},
		"key":            {func(c *config) { c.Key = "line" }, `key: "line" is unknown; use one of ["none" "path"]`},
		"poll_interval":  {func(c *config) { c.PollInterval = time.Hour }, "poll_interval: 1h0m0s is not between 1ms and 1m0s"},
		"rotate_wait":    {func(c *config) { c.RotateWait = -1 }, "rotate_wait: -1ns is negative"},
		"max_line_bytes": {func(c *config) { c.MaxLineBytes = 1 }, "max_line_bytes: 1 is less than 16"},
		"batch_lines":    {func(c *config) { c.BatchLines = 0 }, "batch_lines: 0 is less than 1"},
		"batch_bytes":    {func(c *config) { c.BatchBytes = 0 }, "batch_bytes: 0 is less than 1"},
		"two problems": {func(c *config) { c.BatchLines, c.BatchBytes = 0, -1 },
			"batch_lines: 0 is less than 1\nbatch_bytes: -1 is less than 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := valid
			tt.change(&c)
			require.EqualError(t, c.Validate(), tt.want)
		})
	}
}
