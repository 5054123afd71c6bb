package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/danube-messaging/danube-connect-go/internal/apply"
	"github.com/danube-messaging/danube-connect-go/internal/question"
	"github.com/danube-messaging/danube-connect-go/internal/render"
)

// newOutput prints what `new` will do and has done.
type newOutput struct {
	streams
	opts    newOptions
	plan    *apply.Plan
	tree    render.Tree
	answers question.Answers
	command string // the same without questions
}

// newData is what `new --json` prints as data.
type newData struct {
	Dir     string           `json:"dir"` // absolute
	DryRun  bool             `json:"dry_run"`
	Answers question.Answers `json:"answers"`
	Files   []apply.Action   `json:"files"`
	Command string           `json:"command"` // gives the same repository again
}

func (o newOutput) data() envelope {
	return envelope{OK: true, Data: newData{
		Dir: o.plan.Dir, DryRun: o.opts.dryRun, Answers: o.answers, Files: o.plan.Actions, Command: o.command,
	}}
}

func (o newOutput) dryRun() error {
	switch {
	case o.opts.json:
		return printJSON(o.out, o.data())
	case o.opts.diff:
		return o.printDiff()
	}
	if err := o.preview(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(o.out, "dry run: nothing was written")
	return err
}

// preview lists every file with what happens to it.
func (o newOutput) preview() error {
	a := o.answers
	fmt.Fprintf(o.out, "%s: %s %s, topic %s, %d files, %s\n",
		a[question.Dir], a[question.Kind], a[question.System], a[question.Topic], len(o.tree), size(o.tree.Size()))
	w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	for _, a := range o.plan.Actions {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", a.Op, a.Path, size(a.Size))
	}
	return w.Flush()
}

func size(n int) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1000)
}

// printDiff shows what would change. The snapshot is left out: it repeats every file.
func (o newOutput) printDiff() error {
	for i, a := range o.plan.Actions {
		if a.Path == apply.BasePath || a.Op == apply.OpSame || a.Op == apply.OpKeep {
			continue
		}
		old, before := []byte(nil), "/dev/null"
		if a.Op == apply.OpOverwrite {
			var err error
			if old, err = os.ReadFile(filepath.Join(o.plan.Dir, filepath.FromSlash(a.Path))); err != nil {
				return notWritable(o.answers[question.Dir], err)
			}
			before = "a/" + a.Path
		}
		if _, err := o.out.Write(diff.Diff(before, old, "b/"+a.Path, o.tree[i].Data)); err != nil {
			return err
		}
	}
	return nil
}

// done says what was written and what to do next.
func (o newOutput) done(asked bool) error {
	if o.opts.json {
		return printJSON(o.out, o.data())
	}
	dir := o.answers[question.Dir]
	fmt.Fprintf(o.out, "created %s (%s)\n", dir, o.counts())
	fmt.Fprintf(o.out, "next: cd %s && make test\n", question.Quote(dir))
	if asked {
		fmt.Fprintf(o.out, "the same without questions:\n  %s\n", o.command)
	}
	return nil
}

// withCommand adds the equivalent command to a failure, so that what was typed into the wizard is not lost.
func (o newOutput) withCommand(err error, asked bool) error {
	var f *failure
	if asked && errors.As(err, &f) {
		f.detail = append(f.detail, "the same without questions: "+o.command)
	}
	return err
}

// counts tells how many files there are, and what became of them where they were not all created.
func (o newOutput) counts() string {
	created := o.plan.Count(apply.OpCreate)
	if created == len(o.plan.Actions) {
		return fmt.Sprintf("%d files", created)
	}
	text := fmt.Sprintf("%d new", created)
	for _, c := range []struct {
		op   apply.Op
		word string
	}{{apply.OpOverwrite, "overwritten"}, {apply.OpKeep, "kept"}, {apply.OpSame, "unchanged"}} {
		if n := o.plan.Count(c.op); n > 0 {
			text += fmt.Sprintf(", %d %s", n, c.word)
		}
	}
	return text
}
