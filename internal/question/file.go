package question

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
)

// A File is the content of .danube/answers.toml: how a repository was made.
type File struct {
	Generator      string  // version of the command that wrote it
	RuntimeVersion string  // version of the runtime that its go.mod names
	RuntimeReplace string  // directory that replaces the runtime's module; empty in what a release wrote
	Answers        Answers // all but the transient ones
}

// fileForm is File as TOML has it.
type fileForm struct {
	Generator string      `toml:"generator"`
	Command   string      `toml:"command"`
	Runtime   runtimeForm `toml:"runtime"`
	Answers   Answers     `toml:"answers"`
}

type runtimeForm struct {
	Version string `toml:"version"`
	Replace string `toml:"replace,omitempty"`
}

const fileHead = "# How danube-connect-gen made this repository. Commit it: a later version of the command starts from it.\n"

// EncodeFile writes f as TOML, the same bytes for the same f.
func EncodeFile(cat *catalog.Catalog, f File) ([]byte, error) {
	recorded := Answers{}
	for _, q := range Registry(cat) {
		if v := f.Answers[q.Key]; v != "" && !q.Transient {
			recorded[q.Key] = v
		}
	}
	var b bytes.Buffer
	b.WriteString(fileHead)
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	err := enc.Encode(fileForm{
		Generator: f.Generator,
		Command:   Command(Registry(cat), recorded),
		Runtime:   runtimeForm{Version: f.RuntimeVersion, Replace: f.RuntimeReplace},
		Answers:   recorded,
	})
	if err != nil {
		return nil, fmt.Errorf("encode answers: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeFile reads what [EncodeFile] wrote. Unknown keys are errors: they come from a newer version of the command.
func DecodeFile(text []byte) (File, error) {
	var form fileForm
	meta, err := toml.Decode(string(text), &form)
	if err != nil {
		return File{}, fmt.Errorf("decode answers: %w", err)
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return File{}, fmt.Errorf("decode answers: unknown key %s; was it written by a newer danube-connect-gen?", extra[0])
	}
	return File{
		Generator:      form.Generator,
		RuntimeVersion: form.Runtime.Version,
		RuntimeReplace: form.Runtime.Replace,
		Answers:        form.Answers,
	}, nil
}

// Command is the command line that gives the same answers again. Answers that equal their default are left out.
func Command(qs []Question, a Answers) string {
	args := []string{"danube-connect-gen", "new"}
	for _, q := range qs {
		v := a[q.Key]
		switch {
		case v == "", q.Default != nil && q.Default(a) == v:
		case q.Positional:
			args = append(args, Quote(v))
		default:
			args = append(args, q.Flag(), Quote(v))
		}
	}
	return strings.Join(args, " ")
}

// Quote writes an argument as a POSIX shell takes it.
func Quote(arg string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return !safe(r) }) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
