package main

import "errors"

// config is the [sink] table of connector.toml. Replace its fields by what your system needs to be reached.
type config struct {
	Path string `toml:"path" env:"SINK_PATH" default:"events.jsonl" doc:"File that the records are appended to, one JSON value a line."`
}

// Validate reports every problem, not only the first.
func (c config) Validate() error {
	if c.Path == "" {
		return errors.New("path: is empty; name a file, for example events.jsonl")
	}
	return nil
}
