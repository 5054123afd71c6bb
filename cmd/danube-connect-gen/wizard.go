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
	accessible bool // without redrawing the screen
	lines      *lineReader
	keyboard   *keyboard // nil until the first form
}

func newPrompter(io streams, accessible bool) *prompter {
	return &prompter{streams: io, accessible: accessible, lines: &lineReader{r: bufio.NewReader(io.in)}}
}

// ask completes answers by asking for all that are not given, one after the other, because what can be answered depends on the
// answers before.
func (p *prompter) ask(qs []question.Question, given question.Answers) (question.Answers, error) {
	answers := maps.Clone(given)
	for _, q := range qs {
		if answers[q.Key] != "" {
			continue
		}
		var value string
		if err := p.run(p.field(q, answers, &value)); err != nil {
			return nil, err
		}
		value = strings.TrimSpace(value)
		if value == "" && q.Default != nil {
			value = q.Default(answers)
		}
		answers[q.Key] = value
		if !p.accessible { // the form has cleared its place on the screen
			fmt.Fprintf(p.out, "%-*s  %s\n", widest(qs), q.Title, value)
		}
	}
	answers, err := question.Complete(qs, answers)
	if err != nil {
		return nil, wrongAnswer(err)
	}
	return answers, nil
}

func widest(qs []question.Question) int {
	n := 0
	for _, q := range qs {
		n = max(n, len(q.Title))
	}
	return n
}

// field is the form's part for one question.
func (p *prompter) field(q question.Question, answers question.Answers, value *string) huh.Field {
	if q.Choices != nil {
		options := options(q.Choices(answers))
		return huh.NewSelect[string]().Title(q.Title).Height(selectHeight(len(options))).Options(options...).Value(value)
	}
	title, shown := q.Title, q.Example
	if q.Default != nil {
		shown = q.Default(answers)
		if p.accessible {
			title += " (empty: " + shown + ")"
		}
	}
	check := func(v string) error {
		if v == "" && q.Default != nil {
			return nil
		}
		return q.Validate(answers, strings.TrimSpace(v))
	}
	return huh.NewInput().Title(title).Description(q.Help).Placeholder(shown).Validate(check).Value(value)
}

// selectHeight is room for a title and the choices; more than ten are scrolled.
func selectHeight(choices int) int { return 1 + min(choices, 10) }

func options(choices []question.Choice) []huh.Option[string] {
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

// confirm asks whether to go on.
func (p *prompter) confirm(title string) error {
	yes := true
	field := huh.NewConfirm().Title(title).Affirmative("Yes").Negative("No").Value(&yes)
	if err := p.run(field); err != nil {
		return err
	}
	if !yes {
		return errCancelled
	}
	return nil
}

// run shows a form of one field.
func (p *prompter) run(field huh.Field) error {
	form := huh.NewForm(huh.NewGroup(field)).WithOutput(p.out)
	show := func(keys io.Reader) error { return form.WithInput(keys).Run() }
	var err error
	if terminal, ok := p.in.(*os.File); ok && !p.accessible {
		if p.keyboard == nil {
			p.keyboard = newKeyboard(terminal)
		}
		err = p.keyboard.with(show)
	} else {
		form.WithAccessible(true)
		err = show(p.lines)
	}
	switch {
	case errors.Is(err, huh.ErrUserAborted):
		return errCancelled
	case err != nil:
		return fmt.Errorf("ask: %w", err)
	case p.lines.ended:
		return errCancelled // an accessible form takes the end of its input for an answer
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
