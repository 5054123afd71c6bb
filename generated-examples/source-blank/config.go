package main

import (
	"errors"
	"fmt"
	"time"
)

// config is the [source] table of connector.toml. Replace its fields by what your system needs to be reached.
type config struct {
	Path         string        `toml:"path" env:"SOURCE_PATH" default:"events.jsonl" doc:"File of JSON values, one a line, that lines are appended to."`
	PollInterval time.Duration `toml:"poll_interval" env:"SOURCE_POLL_INTERVAL" default:"200ms" doc:"Time between two looks for new lines."`
}

// Validate reports every problem, not only the first.
func (c config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("path: is empty; name a file, for example events.jsonl"))
	}
	if c.PollInterval <= 0 {
		errs = append(errs, fmt.Errorf("poll_interval: %v is not positive; use for example 200ms", c.PollInterval))
	}
	return errors.Join(errs...)
}
