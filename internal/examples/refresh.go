package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/danube-messaging/danube-connect-go/internal/apply"
	"github.com/danube-messaging/danube-connect-go/internal/question"
	"github.com/danube-messaging/danube-connect-go/internal/render"
	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
)

// The answers of the repositories in which --refresh lets the go command and the connectors work. Each text occurs nowhere else, so
// that it can be turned back into the field that it came from.
const (
	stampModule = "example.com/stamp/stamp-name"
	stampName   = "stamp-name"
	stampTopic  = "/stamp/stamp-topic"
)

// refreshTemplates renders each example aside, lets `go mod tidy` and the connector itself write what is derived, and puts that back
// into the templates.
func refreshTemplates(out io.Writer, root string) error {
	runtimeDir, err := filepath.Abs(filepath.Join(root, "runtime"))
	if err != nil {
		return err
	}
	gen, err := scaffold.New(os.DirFS(filepath.Join(root, "templates")), scaffold.DevelVersion)
	if err != nil {
		return err
	}
	for _, e := range examples {
		if err := refreshOne(out, root, e, gen, runtimeDir); err != nil {
			return fmt.Errorf("refresh %s: %w", e.name(), err)
		}
	}
	return nil
}

func refreshOne(out io.Writer, root string, e example, gen *scaffold.Generator, runtimeDir string) error {
	answers := e.answers()
	answers[question.Module], answers[question.Topic] = stampModule, stampTopic
	tree, err := gen.Tree(answers, render.Runtime{Version: scaffold.NextRuntime, Replace: filepath.ToSlash(runtimeDir)})
	if err != nil {
		return err
	}
	home, err := os.MkdirTemp("", "refresh-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	dir := filepath.Join(home, stampName)
	plan, err := apply.New(tree, dir, apply.Refuse)
	if err != nil {
		return err
	}
	if err := plan.Apply(); err != nil {
		return err
	}
	derived, err := derive(dir)
	if err != nil {
		return err
	}
	for name, text := range derived {
		if f, ok := tree.Find(name); ok && f.Owner == "common" {
			return fmt.Errorf("%s depends on the system, so it cannot come from templates/common", name)
		}
		path := filepath.Join(root, "templates", filepath.FromSlash(e.layer()), name+render.Suffix)
		if err := replaceFile(out, path, text); err != nil {
			return err
		}
	}
	return nil
}

// derive runs the programs that write derived files and gives these files as templates, by their path.
func derive(dir string) (map[string][]byte, error) {
	if _, err := command(dir, "go", "mod", "tidy"); err != nil {
		return nil, err
	}
	schema, err := command(dir, "go", "run", ".", "config", "schema")
	if err != nil {
		return nil, err
	}
	sample, err := command(dir, "go", "run", ".", "config", "sample")
	if err != nil {
		return nil, err
	}
	if _, err := command(dir, "go", "run", ".", "config", "docs", "--write", "README.md"); err != nil {
		return nil, err
	}
	derived := map[string][]byte{"connector.schema.json": schema, "connector.toml": sampleTemplate(sample)}
	for _, name := range []string{"go.mod", "go.sum", "README.md"} {
		if derived[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	if derived["go.mod"], err = modTemplate(derived["go.mod"]); err != nil {
		return nil, err
	}
	for name, text := range derived {
		text = bytes.ReplaceAll(text, []byte(stampModule), []byte("{{.Module}}"))
		text = bytes.ReplaceAll(text, []byte(stampName), []byte("{{.Name}}"))
		derived[name] = bytes.ReplaceAll(text, []byte(stampTopic), []byte("{{.Topic}}"))
	}
	return derived, nil
}

// A sample knows neither the repository's name nor its topic.
var (
	sampleName  = regexp.MustCompile(`(?m)^connector_name = ".*"$`)
	sampleTopic = regexp.MustCompile(`(?m)^(source_topic|destination_topic) = ".*"$`)
)

func sampleTemplate(sample []byte) []byte {
	sample = sampleName.ReplaceAll(sample, []byte(`connector_name = "{{.Name}}"`))
	return sampleTopic.ReplaceAll(sample, []byte(`$1 = "{{.Topic}}"`))
}

// modTemplate takes the renderer's replace directive out again and puts the field of the runtime's version in.
func modTemplate(text []byte) ([]byte, error) {
	f, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	if err := f.DropReplace(render.RuntimeModule, ""); err != nil {
		return nil, err
	}
	f.Cleanup()
	if text, err = f.Format(); err != nil {
		return nil, err
	}
	required := render.RuntimeModule + " " + scaffold.NextRuntime
	return bytes.ReplaceAll(text, []byte(required), []byte(render.RuntimeModule+" {{.RuntimeVersion}}")), nil
}

// replaceFile also makes a file that is not there, as for a new system.
func replaceFile(out io.Writer, path string, text []byte) error {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fmt.Fprintf(out, "refreshed %s\n", path)
	return os.WriteFile(path, text, 0o644)
}

func command(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}
