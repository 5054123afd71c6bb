package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
)

// The exit statuses of every subcommand.
const (
	exitDone        = 0
	exitFailed      = 1   // the work itself failed
	exitBadInput    = 2   // wrong or missing arguments
	exitEnvironment = 3   // directory, toolchain or network is not as needed
	exitConflict    = 4   // files stand in the way
	exitCancelled   = 130 // the user said no
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// A failure is an error with everything that is needed to report it: one line of what was tried, why it failed and how to mend it.
type failure struct {
	exit   int
	code   string   // stable, for programs
	what   string   // subcommand or path
	err    error    // why
	mend   string   // what to do; may be empty
	detail []string // lines below the first, such as paths
}

func (f *failure) Error() string {
	text := f.what + ": " + strings.ReplaceAll(f.err.Error(), "\n", "; ")
	if f.mend != "" {
		text += "; " + f.mend
	}
	return text
}

func (f *failure) Unwrap() error { return f.err }

// badInput is a failure that another command line mends.
func badInput(what string, err error, mend string) *failure {
	return &failure{exit: exitBadInput, code: "bad_input", what: what, err: err, mend: mend}
}

func unknownCommand(name string, names []string) *failure {
	err := &catalog.UnknownError{What: "command", Name: name, Nearest: catalog.Nearest(name, names), All: names}
	return &failure{exit: exitBadInput, code: "unknown_command", what: name, err: errors.New("unknown command"), mend: err.Suggestion()}
}

// envelope is what every command prints with --json: data when ok, else error.
type envelope struct {
	OK    bool       `json:"ok"`
	Data  any        `json:"data,omitempty"`
	Error *jsonError `json:"error,omitempty"`
}

type jsonError struct {
	Code       string   `json:"code"`
	Message    string   `json:"message"`
	Suggestion string   `json:"suggestion,omitempty"`
	Details    []string `json:"details,omitempty"`
}

func printJSON(w io.Writer, e envelope) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

// report prints err, as the envelope where the command line asks for JSON, and returns the exit status.
func report(io streams, err error, asJSON bool) int {
	if err == nil {
		return exitDone
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{exit: exitFailed, code: "failed", what: "start", err: err}
	}
	if asJSON {
		printJSON(io.out, envelope{Error: &jsonError{
			Code: f.code, Message: f.what + ": " + f.err.Error(), Suggestion: f.mend, Details: f.detail,
		}})
		return f.exit
	}
	fmt.Fprintf(io.err, "danube-connect-gen: %s\n", f)
	for _, line := range f.detail {
		fmt.Fprintf(io.err, "  %s\n", line)
	}
	return f.exit
}
