package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"charm.land/huh/v2"
	"golang.org/x/term"

	"github.com/danube-messaging/danube-connect-go/internal/question"
)

// terminal tells whether a person can be asked.
func (s streams) terminal() bool { return isTerminal(s.in) && isTerminal(s.out) }

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

var errCancelled = &failure{
	exit: exitCancelled, code: "cancelled", what: "new", err: errors.New("cancelled"), mend: "nothing was written",
}

// A prompter asks a person.
type prompter struct {
	streams
	accessible bool // line by line instead of on pages
	lines      *lineReader
}

func newPrompter(io streams, accessible bool) *prompter {
	return &prompter{streams: io, accessible: accessible, lines: &lineReader{r: bufio.NewReader(io.in)}}
}

// ask completes answers by asking for all that are not given.
func (p *prompter) ask(qs []question.Question, given question.Answers) (question.Answers, error) {
	answers := maps.Clone(given)
	how := p.askOnPages
	if p.accessible {
		how = p.askInTurn
	}
	if err := how(qs, answers); err != nil {
		return nil, err
	}
	answers, err := question.Complete(qs, answers)
	if err != nil {
		return nil, wrongAnswer(err)
	}
	return answers, nil
}

// confirm asks whether to go on.
func (p *prompter) confirm(title string) error {
	yes := true
	field := huh.NewConfirm().Title(title).Affirmative("Yes").Negative("No").Value(&yes)
	if err := p.run(huh.NewGroup(field)); err != nil {
		return err
	}
	if !yes {
		return errCancelled
	}
	return nil
}

// run shows one form.
func (p *prompter) run(groups ...*huh.Group) error {
	form := huh.NewForm(groups...).WithOutput(p.out)
	if p.accessible {
		form.WithAccessible(true).WithInput(p.lines)
	} else {
		form.WithInput(p.in)
	}
	switch err := form.Run(); {
	case errors.Is(err, huh.ErrUserAborted):
		return errCancelled
	case err != nil:
		return fmt.Errorf("ask: %w", err)
	case p.lines.ended:
		return errCancelled // an accessible form takes the end of its input for an answer
	}
	return nil
}

// askOnPages shows forms that can be walked back and forth: first what is chosen, then what is typed.
func (p *prompter) askOnPages(qs []question.Question, answers question.Answers) error {
	values := map[question.Key]*string{}
	current := func() question.Answers {
		a := maps.Clone(answers)
		for k, v := range values {
			a[k] = *v
		}
		return a
	}
	var chosen, typed []huh.Field
	for _, q := range qs {
		if answers[q.Key] != "" {
			continue
		}
		values[q.Key] = new(string)
		if q.Choices != nil {
			chosen = append(chosen, selectField(q, values, current))
		} else {
			typed = append(typed, inputField(q, values, current))
		}
	}
	var groups []*huh.Group
	for _, fields := range [][]huh.Field{chosen, typed} {
		if len(fields) > 0 {
			groups = append(groups, huh.NewGroup(fields...))
		}
	}
	if err := p.run(groups...); err != nil {
		return err
	}
	for k, v := range values {
		answers[k] = *v
	}
	return nil
}

func selectField(q question.Question, values map[question.Key]*string, current func() question.Answers) huh.Field {
	return huh.NewSelect[string]().
		Title(q.Title).
		OptionsFunc(func() []huh.Option[string] { return options(q, current()) }, values).
		Value(values[q.Key])
}

// inputField takes a text. An empty one stands for the default, which is shown in its place.
func inputField(q question.Question, values map[question.Key]*string, current func() question.Answers) huh.Field {
	placeholder := func() string {
		if q.Default == nil {
			return q.Example
		}
		return q.Default(current())
	}
	return huh.NewInput().
		Title(q.Title).
		Description(q.Help).
		PlaceholderFunc(placeholder, values).
		Validate(checker(q, current)).
		Value(values[q.Key])
}

func checker(q question.Question, current func() question.Answers) func(string) error {
	return func(v string) error {
		if v == "" && q.Default != nil {
			return nil
		}
		return q.Validate(current(), strings.TrimSpace(v))
	}
}

func options(q question.Question, a question.Answers) []huh.Option[string] {
	choices := q.Choices(a)
	width := 0
	for _, c := range choices {
		width = max(width, len(c.Value))
	}
	var out []huh.Option[string]
	for _, c := range choices {
		out = append(out, huh.NewOption(fmt.Sprintf("%-*s  %s", width, c.Value, c.Label), c.Value))
	}
	return out
}

// askInTurn asks line by line, for screen readers and plain terminals.
func (p *prompter) askInTurn(qs []question.Question, answers question.Answers) error {
	for _, q := range qs {
		if answers[q.Key] != "" {
			continue
		}
		current := func() question.Answers { return answers }
		var value string
		var field huh.Field
		if q.Choices != nil {
			field = huh.NewSelect[string]().Title(q.Title).Options(options(q, answers)...).Value(&value)
		} else {
			title := q.Title
			if q.Default != nil {
				title += " (empty: " + q.Default(answers) + ")"
			}
			field = huh.NewInput().Title(title).Validate(checker(q, current)).Value(&value)
		}
		if err := p.run(huh.NewGroup(field)); err != nil {
			return err
		}
		if value == "" && q.Default != nil {
			value = q.Default(answers)
		}
		answers[q.Key] = value
	}
	return nil
}

// lineReader gives one line a call, because each question of a form reads ahead and throws the rest away.
type lineReader struct {
	r     *bufio.Reader
	rest  []byte
	ended bool
}

func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		line, err := l.r.ReadBytes('\n')
		if len(line) == 0 {
			l.ended = true
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		l.rest = line
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
