// Command examples keeps generated-examples/, the command's own output, in step with the templates. Run it in the repository's root.
//
//	go run ./internal/examples            write the examples
//	go run ./internal/examples --check    compare them byte by byte, write nothing
//	go run ./internal/examples --refresh  bring what is derived in the templates up to date, then write the examples
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/question"
	"github.com/danube-messaging/danube-connect-go/internal/render"
	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
)

// examplesDir holds one directory per example, below the repository's root.
const examplesDir = "generated-examples"

// An example is one repository of generated-examples/.
type example struct{ kind, system string }

// examples is the table of them.
var examples = []example{
	{catalog.Sink, catalog.Blank},
	{catalog.Source, catalog.Blank},
	{catalog.Sink, "http"},
	{catalog.Sink, "mongodb"},
	{catalog.Source, "file"},
}

func (e example) name() string { return e.kind + "-" + e.system }

// layer is the directory of the example's own templates.
func (e example) layer() string {
	if e.system == catalog.Blank {
		return e.kind
	}
	return "systems/" + e.system + "/" + e.kind
}

// answers are what a user would have answered to get the example.
func (e example) answers() question.Answers {
	return question.Answers{
		question.Kind:   e.kind,
		question.System: e.system,
		question.Module: "github.com/danube-messaging/danube-connect-go/" + examplesDir + "/" + e.name(),
		question.Topic:  question.DefaultTopic,
	}
}

// exampleRuntime is relative, so that examples and runtime move together.
func exampleRuntime() render.Runtime {
	return render.Runtime{Version: scaffold.NextRuntime, Replace: "../../runtime"}
}

func main() {
	check := flag.Bool("check", false, "compare the examples with what the templates give and fail when a byte differs")
	refresh := flag.Bool("refresh", false, "bring go.mod, go.sum, schema, sample and option table of the templates up to date first")
	flag.Parse()
	if err := run(os.Stdout, ".", *check, *refresh); err != nil {
		fmt.Fprintln(os.Stderr, "examples:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, root string, check, refresh bool) error {
	if refresh {
		if err := refreshTemplates(out, root); err != nil {
			return err
		}
	}
	trees, err := renderAll(os.DirFS(root + "/templates"))
	if err != nil {
		return err
	}
	if check {
		return checkAll(out, root, trees)
	}
	return writeAll(out, root, trees)
}
