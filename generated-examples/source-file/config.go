package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// config is the [file] table of connector.toml.
type config struct {
	Paths        []string      `toml:"paths" env:"FILE_PATHS" example:"/var/log/app/*.log" doc:"Files to read: paths, or patterns with *, ? and [a-z]. Files that appear later are read too."`
	Exclude      []string      `toml:"exclude" env:"FILE_EXCLUDE" doc:"Patterns of files to leave out; one without a slash is compared with the file's name alone."`
	Start        string        `toml:"start" env:"FILE_START" default:"beginning" doc:"Where the very first start begins in the files that it finds: beginning or end. Files that appear later are read from their beginning."`
	Follow       bool          `toml:"follow" env:"FILE_FOLLOW" default:"true" doc:"Wait for more lines. False reads every file to its end once and then stops with exit status 0."`
	PollInterval time.Duration `toml:"poll_interval" env:"FILE_POLL_INTERVAL" default:"1s" doc:"Longest time between two looks at the files; where the file system tells of changes they are seen at once."`
	RotateWait   time.Duration `toml:"rotate_wait" env:"FILE_ROTATE_WAIT" default:"5s" doc:"How long a file that was renamed or deleted is still watched for last lines; then a last line without a line end is published as it is."`
	MaxLineBytes int           `toml:"max_line_bytes" env:"FILE_MAX_LINE_BYTES" default:"1048576" doc:"Longest line in one record, in bytes; a longer one is published in several records, marked by file.part and file.more."`
	KeepCR       bool          `toml:"keep_cr" env:"FILE_KEEP_CR" default:"false" doc:"Keep the carriage return of lines that end in CR LF. False strips it with the line end."`
	SkipEmpty    bool          `toml:"skip_empty" env:"FILE_SKIP_EMPTY" default:"false" doc:"Leave out empty lines. False publishes them as records without a value."`
	BatchLines   int           `toml:"batch_lines" env:"FILE_BATCH_LINES" default:"1000" doc:"Most lines that are read at once."`
	BatchBytes   int           `toml:"batch_bytes" env:"FILE_BATCH_BYTES" default:"1048576" doc:"Most bytes of lines that are read at once; a single line may be larger."`
	Key          string        `toml:"key" env:"FILE_KEY" default:"none" doc:"Routing key of the records: none, or path, which keeps the lines of one file in order on a partitioned topic."`
}

// The longest time between two looks at the files: what the file system does not tell must not stay unseen for longer.
const maxPollInterval = time.Minute

// Validate reports every problem, not only the first.
func (c config) Validate() error {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("paths: is empty; name at least one file or pattern"))
	}
	errs = append(errs, checkPatterns("paths", c.Paths), checkPatterns("exclude", c.Exclude))
	errs = append(errs, oneOf("start", c.Start, "beginning", "end"), oneOf("key", c.Key, "none", "path"))
	if c.PollInterval < time.Millisecond || c.PollInterval > maxPollInterval {
		errs = append(errs, fmt.Errorf("poll_interval: %v is not between 1ms and %v", c.PollInterval, maxPollInterval))
	}
	if c.RotateWait < 0 {
		errs = append(errs, fmt.Errorf("rotate_wait: %v is negative", c.RotateWait))
	}
	if c.MaxLineBytes < minLineBytes {
		errs = append(errs, fmt.Errorf("max_line_bytes: %d is less than %d", c.MaxLineBytes, minLineBytes))
	}
	if c.BatchLines < 1 {
		errs = append(errs, fmt.Errorf("batch_lines: %d is less than 1", c.BatchLines))
	}
	if c.BatchBytes < 1 {
		errs = append(errs, fmt.Errorf("batch_bytes: %d is less than 1", c.BatchBytes))
	}
	return errors.Join(errs...)
}

func checkPatterns(key string, patterns []string) error {
	var errs []error
	for _, p := range patterns {
		if p == "" {
			errs = append(errs, fmt.Errorf("%s: holds an empty path; remove it", key))
		}
		if _, err := filepath.Match(p, ""); err != nil {
			errs = append(errs, fmt.Errorf(`%s: %q is not a pattern; write \[ for a bracket that is part of a name`, key, p))
		}
	}
	return errors.Join(errs...)
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is unknown; use one of %q", key, value, allowed)
}
