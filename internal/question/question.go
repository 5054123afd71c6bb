// Package question holds every question that the command asks about a new repository, each once. Flags, the wizard's prompts, the
// answers file and JSON output are all made from [Registry].
package question

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
)

// A Key names an answer: in the answers file, in JSON, and (with two dashes before it) on the command line.
type Key string

// The keys of all questions.
const (
	Kind   Key = "kind"
	System Key = "system"
	Module Key = "module"
	Dir    Key = "dir"
	Topic  Key = "topic"
)

// DefaultTopic is the Danube topic of a repository for which none was named.
const DefaultTopic = "/default/events"

// Answers holds what was answered; a question without an answer has no entry.
type Answers map[Key]string

// A Choice is one possible answer of a question that has a fixed set of them.
type Choice struct {
	Value string
	Label string // what it means, in a few words
}

// A Question is asked in order: its functions may look at the answers of the questions before it, which are valid by then.
type Question struct {
	Key        Key
	Positional bool   // an argument of the command instead of a flag
	Title      string // the wizard's prompt
	Help       string // one sentence, also the flag's help
	Example    string // an answer to show; for a required question also what the mend of an error names

	// Default gives the answer when there is none. Nil: the question must be answered.
	Default func(Answers) string
	// Choices gives the possible answers. Nil: any text that Validate takes.
	Choices func(Answers) []Choice
	// Validate says what is wrong with an answer and how to mend it.
	Validate func(a Answers, value string) error
	// Transient answers are not recorded in the answers file: they say where the repository is, not what it is.
	Transient bool
}

// Flag is how the answer is given on the command line.
func (q Question) Flag() string {
	if q.Positional {
		return strings.ToUpper(string(q.Key))
	}
	return "--" + string(q.Key)
}

// Registry lists all questions in the order in which they are asked.
func Registry(cat *catalog.Catalog) []Question {
	return []Question{
		{
			Key: Kind, Positional: true, Example: catalog.Sink,
			Title:    "Kind of connector",
			Help:     "Kind of connector: sink reads from Danube, source writes to it.",
			Choices:  func(Answers) []Choice { return kinds(cat) },
			Validate: func(_ Answers, v string) error { return cat.CheckKind(v) },
		},
		{
			Key: System, Positional: true, Example: "http",
			Title:   "External system",
			Help:    "External system, as `danube-connect-gen list` shows them; blank is a start for your own.",
			Choices: func(a Answers) []Choice { return systems(cat, a[Kind]) },
			Validate: func(a Answers, v string) error {
				_, err := cat.Find(a[Kind], v)
				return err
			},
		},
		{
			Key: Module, Example: "example.com/you/hook",
			Title:    "Go module path",
			Help:     "Module path of the new repository; its last element names the connector.",
			Validate: func(_ Answers, v string) error { return checkModule(v) },
		},
		{
			Key: Dir, Transient: true, Example: "./hook",
			Title:    "Directory",
			Help:     "Directory to write to; it is made when it is not there.",
			Default:  func(a Answers) string { return defaultDir(a[Module]) },
			Validate: func(_ Answers, v string) error { return checkDir(v) },
		},
		{
			Key: Topic, Example: DefaultTopic,
			Title:    "Danube topic",
			Help:     "Danube topic that a sink reads and a source writes, /namespace/name.",
			Default:  func(Answers) string { return DefaultTopic },
			Validate: func(_ Answers, v string) error { return checkTopic(v) },
		},
	}
}

func kinds(cat *catalog.Catalog) []Choice {
	labels := map[string]string{
		catalog.Sink:   "reads from Danube, writes to another system",
		catalog.Source: "reads another system, writes to Danube",
	}
	var out []Choice
	for _, k := range catalog.Kinds() {
		if len(cat.Of(k)) > 0 {
			out = append(out, Choice{Value: k, Label: labels[k]})
		}
	}
	return out
}

func systems(cat *catalog.Catalog, kind string) []Choice {
	var out []Choice
	for _, e := range cat.Of(kind) {
		out = append(out, Choice{Value: e.System, Label: e.Summary})
	}
	return out
}

// Name is the connector's name: the last element of its module path that is not a major version.
func Name(modulePath string) string {
	prefix, _, ok := module.SplitPathVersion(modulePath)
	if !ok {
		prefix = modulePath
	}
	return path.Base(prefix)
}

// namePattern is what the broker and Kubernetes both take as a name; connector_name and the subscription get it.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

func checkModule(v string) error {
	if err := module.CheckPath(v); err != nil {
		return fmt.Errorf("%q is no Go module path (%s); write one like example.com/you/hook", v, moduleFault(err))
	}
	if name := Name(v); !namePattern.MatchString(name) {
		return fmt.Errorf("%q: its last element %q becomes the connector's name; use letters, digits, - and _ there", v, name)
	}
	return nil
}

// moduleFault is the reason alone, without the words and the path that module puts before it.
func moduleFault(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, "\": ")+len("\": "):]
}

var topicPattern = regexp.MustCompile(`^/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$`)

func checkTopic(v string) error {
	if topicPattern.MatchString(v) {
		return nil
	}
	return fmt.Errorf("%q is not a topic; write /namespace/name with letters, digits, - and _, such as %s", v, DefaultTopic)
}

// defaultDir is empty for a module that is not known yet.
func defaultDir(modulePath string) string {
	if modulePath == "" {
		return ""
	}
	return Name(modulePath)
}

func checkDir(v string) error {
	if strings.TrimSpace(v) == "" || strings.ContainsRune(v, 0) {
		return fmt.Errorf("%q is not a directory; write a path, such as ./hook", v)
	}
	return nil
}

// An Error is a wrong answer.
type Error struct {
	Question Question
	Err      error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Question.Flag(), e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Missing lists the questions that have no answer and no default.
func Missing(qs []Question, a Answers) []Question {
	return slices.DeleteFunc(slices.Clone(qs), func(q Question) bool {
		return a[q.Key] != "" || q.Default != nil
	})
}

// Complete returns a with the defaults filled in, or the first wrong answer as an [*Error]. Required questions without an answer
// stay without one: see [Missing].
func Complete(qs []Question, a Answers) (Answers, error) {
	out := Answers{}
	for _, q := range qs {
		v := a[q.Key]
		if v == "" && q.Default != nil && len(Missing(qs, a)) == 0 {
			v = q.Default(out)
		}
		if v == "" {
			continue
		}
		if err := q.Validate(out, v); err != nil {
			return nil, &Error{Question: q, Err: err}
		}
		out[q.Key] = v
	}
	return out, nil
}
