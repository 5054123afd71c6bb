package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/danube-messaging/danube-connect-go/internal/apply"
	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/question"
	"github.com/danube-messaging/danube-connect-go/internal/render"
	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
)

type newOptions struct {
	answers        question.Answers
	force, skip    bool
	dryRun, diff   bool
	json           bool
	accessible     bool
	runtimeReplace string
}

func (o newOptions) policy() apply.Policy {
	switch {
	case o.force:
		return apply.Overwrite
	case o.skip:
		return apply.Keep
	default:
		return apply.Refuse
	}
}

func newNewCmd(io streams, b build, gen *scaffold.Generator) *cobra.Command {
	opts := newOptions{answers: question.Answers{}}
	qs := gen.Questions()
	values := map[question.Key]*string{}
	cmd := &cobra.Command{
		Use:   "new [KIND] [SYSTEM]",
		Short: "Write the repository of a new connector",
		Long: "Write the repository of a new connector. On a terminal what is missing is asked for; elsewhere flags answer everything.\n" +
			"Files are written all or not at all, and nothing that is there is touched unless --force says so.\n\n" + questionHelp(qs),
		Example: "  danube-connect-gen new sink http --module example.com/you/hook\n" +
			"  danube-connect-gen new source file --module example.com/you/logs --topic /default/logs --dry-run",
		Args: atMost(2),
		RunE: func(_ *cobra.Command, args []string) error {
			for key, v := range values {
				opts.answers[key] = *v
			}
			for i, q := range positional(qs)[:len(args)] {
				opts.answers[q.Key] = args[i]
			}
			return newRun(io, b, gen, opts)
		},
		ValidArgsFunction: completeAnswers(qs),
	}
	f := cmd.Flags()
	for _, q := range qs {
		if !q.Positional {
			values[q.Key] = f.String(string(q.Key), "", q.Help+defaultHelp(q))
		}
	}
	f.BoolVar(&opts.force, "force", false, "overwrite files that are there with other content")
	f.BoolVar(&opts.skip, "skip", false, "keep files that are there with other content")
	f.BoolVar(&opts.dryRun, "dry-run", false, "say what would be written, write nothing")
	f.BoolVar(&opts.diff, "diff", false, "with --dry-run: show the content as a diff")
	f.BoolVar(&opts.json, "json", false, "print JSON, ask nothing")
	f.BoolVar(&opts.accessible, "accessible", false, "ask one question after the other, without redrawing the screen")
	f.StringVar(&opts.runtimeReplace, "runtime-replace", "", "directory of the runtime, for a repository that uses a checkout of it")
	if err := f.MarkHidden("runtime-replace"); err != nil {
		panic(err) // the flag is defined on the line above
	}
	return cmd
}

func newRun(io streams, b build, gen *scaffold.Generator, opts newOptions) error {
	if opts.force && opts.skip {
		return badInput("new", errors.New("--force and --skip exclude each other"), "give one of them")
	}
	qs := gen.Questions()
	answers, err := question.Complete(qs, opts.answers)
	if err != nil {
		return wrongAnswer(err)
	}
	prompts := newPrompter(io, opts.accessible)
	asked := false
	if missing := question.Missing(qs, answers); len(missing) > 0 {
		if opts.json || !io.terminal() {
			return missingAnswers(missing)
		}
		if answers, err = prompts.ask(qs, answers); err != nil {
			return err
		}
		asked = true
	}
	out := newOutput{streams: io, opts: opts, answers: answers, command: question.Command(qs, answers)}
	out.plan, out.tree, err = planNew(b, gen, answers, opts)
	if err != nil {
		return out.withCommand(err, asked)
	}
	if opts.dryRun {
		return out.dryRun()
	}
	if asked {
		fmt.Fprintln(io.out)
		if err := out.preview(); err != nil {
			return err
		}
		if err := prompts.confirm("Write these files?"); err != nil {
			return err
		}
	}
	if err := out.plan.Apply(); err != nil {
		return out.withCommand(notWritable(answers[question.Dir], err), asked)
	}
	return out.done(asked)
}

func planNew(b build, gen *scaffold.Generator, answers question.Answers, opts newOptions) (*apply.Plan, render.Tree, error) {
	dir := answers[question.Dir]
	rt, err := b.runtimeFor(dir, opts.runtimeReplace)
	var known *failure
	switch {
	case errors.As(err, &known):
		return nil, nil, err
	case err != nil:
		return nil, nil, notWritable(dir, err)
	}
	tree, err := gen.Tree(answers, rt)
	if err != nil {
		return nil, nil, err
	}
	plan, err := apply.New(tree, dir, opts.policy())
	var conflict *apply.ConflictError
	switch {
	case errors.As(err, &conflict):
		return nil, nil, conflicts(dir, conflict)
	case err != nil:
		return nil, nil, notWritable(dir, err)
	}
	return plan, tree, nil
}

// wrongAnswer reports an answer that its question does not take.
func wrongAnswer(err error) error {
	var unknown *catalog.UnknownError
	if errors.As(err, &unknown) {
		return unknownName("new", unknown)
	}
	var wrong *question.Error
	if errors.As(err, &wrong) {
		return badInput("new", err, "")
	}
	return err
}

func missingAnswers(missing []question.Question) error {
	var names, add []string
	for _, q := range missing {
		names = append(names, string(q.Key))
		if q.Positional {
			add = append(add, q.Flag())
		} else {
			add = append(add, q.Flag()+" "+q.Example)
		}
	}
	f := badInput("new", fmt.Errorf("not answered: %s", strings.Join(names, ", ")), "add "+strings.Join(add, " "))
	f.code = "missing_answers"
	return f
}

func conflicts(dir string, c *apply.ConflictError) error {
	f := &failure{exit: exitConflict, code: "conflict", what: dir, err: c}
	f.mend = "choose another --dir, or add --force to overwrite or --skip to keep what is there"
	if c.Hard() {
		f.mend = "choose another --dir, or move away what is no plain file"
	}
	for _, one := range c.Conflicts {
		f.detail = append(f.detail, one.Path+" "+one.Why)
	}
	return f
}

func notWritable(dir string, err error) error {
	f := &failure{
		exit: exitEnvironment, code: "not_writable", what: dir,
		err: fmt.Errorf("nothing was written: %w", err), mend: "choose another --dir",
	}
	if errors.Is(err, fs.ErrPermission) {
		f.mend = "choose a --dir that you may write to"
	}
	return f
}

func positional(qs []question.Question) []question.Question {
	var out []question.Question
	for _, q := range qs {
		if q.Positional {
			out = append(out, q)
		}
	}
	return out
}

// questionHelp describes the arguments; flags describe themselves.
func questionHelp(qs []question.Question) string {
	var b strings.Builder
	for _, q := range positional(qs) {
		fmt.Fprintf(&b, "  %-7s %s\n", q.Flag(), q.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}

func defaultHelp(q question.Question) string {
	switch {
	case q.Default == nil:
		return " Required."
	case q.Key == question.Dir:
		return " Default: the last element of --module."
	default:
		return " Default: " + q.Default(nil) + "."
	}
}

// completeAnswers offers the choices of the arguments to the shell.
func completeAnswers(qs []question.Question) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		pos := positional(qs)
		if len(args) >= len(pos) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		given := question.Answers{}
		for i, a := range args {
			given[pos[i].Key] = a
		}
		var out []cobra.Completion
		for _, c := range pos[len(args)].Choices(given) {
			out = append(out, cobra.CompletionWithDesc(c.Value, c.Label))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
