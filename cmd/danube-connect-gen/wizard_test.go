package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/question"
	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
	"github.com/danube-messaging/danube-connect-go/templates"
)

// askLines puts the lines to the accessible wizard.
func askLines(t *testing.T, given question.Answers, lines ...string) (question.Answers, string, error) {
	t.Helper()
	gen, err := scaffold.New(templates.FS, scaffold.DevelVersion)
	require.NoError(t, err)
	var out bytes.Buffer
	in := strings.NewReader(strings.Join(lines, "\n") + "\n")
	p := newPrompter(streams{in: in, out: &out, err: &out}, true)
	answers, err := p.ask(gen.Questions(), given)
	return answers, out.String(), err
}

func TestAccessibleWizardAsksAllThatIsMissing(t *testing.T) {
	t.Parallel()
	answers, screen, err := askLines(t, question.Answers{}, "1", "2", "bad path", "example.com/acme/hook", "", "events", "/default/x")
	require.NoError(t, err, screen)
	require.Equal(t, question.Answers{
		question.Kind: "sink", question.System: "mongodb", question.Module: "example.com/acme/hook",
		question.Dir: "hook", question.Topic: "/default/x",
	}, answers)
	require.Contains(t, screen, `"bad path" is no Go module path`)
	require.Contains(t, screen, "Directory (empty: hook)")
	require.Contains(t, screen, `"events" is not a topic`)
	require.NotContains(t, screen, "\x1b[2K", "nothing is redrawn")
}

func TestAccessibleWizardAsksNothingTwice(t *testing.T) {
	t.Parallel()
	given := question.Answers{question.Kind: "source", question.Topic: "/a/b"}
	answers, screen, err := askLines(t, given, "1", "example.com/acme/logs", "./there")
	require.NoError(t, err, screen)
	require.Equal(t, question.Answers{
		question.Kind: "source", question.System: "file", question.Module: "example.com/acme/logs",
		question.Dir: "./there", question.Topic: "/a/b",
	}, answers)
	require.NotContains(t, screen, "Kind of connector")
	require.NotContains(t, screen, "Danube topic")
	require.Equal(t, question.Answers{question.Kind: "source", question.Topic: "/a/b"}, given, "the given answers are not changed")
}

func TestEndOfInputCancels(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{{"1"}, {"1", "1"}, {"1", "1", "example.com/acme/hook"}} {
		_, _, err := askLines(t, question.Answers{}, lines...)
		require.ErrorIs(t, err, errCancelled, "after %q", lines)
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]error{"y\n": nil, "\n": nil, "n\n": errCancelled, "": errCancelled} {
		var out bytes.Buffer
		err := newPrompter(streams{in: strings.NewReader(line), out: &out}, true).confirm("Write these files?")
		if want == nil {
			require.NoError(t, err, "%q", line)
		} else {
			require.ErrorIs(t, err, want, "%q", line)
		}
	}
}

func TestRuntimeIsRelativeInsideTheCheckout(t *testing.T) {
	t.Parallel()
	b := ownBuild()
	require.NotEmpty(t, b.checkout, "a test binary is built from a checkout")
	root, err := filepath.EvalSymlinks(b.checkout)
	require.NoError(t, err)

	rt, err := b.runtimeFor(filepath.Join(root, "generated-examples", "not-there-yet"), "")
	require.NoError(t, err)
	require.Equal(t, "../../runtime", rt.Replace)

	rt, err = b.runtimeFor(filepath.Join(t.TempDir(), "out"), "")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "runtime"), rt.Replace)

	// A directory that only begins with the checkout's name lies outside of it.
	rt, err = b.runtimeFor(root+"-other/x", "")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "runtime"), rt.Replace)
}

func TestReleaseWithoutSumsIsRefused(t *testing.T) {
	t.Parallel()
	b := build{version: "v0.1.0"}
	b.runtime.Version = "v0.1.0"
	_, err := b.runtimeFor("out", "")
	require.ErrorContains(t, err, "this binary carries no runtime release and its source checkout is not there; "+
		"install a released binary, build one in a checkout, or name one with --runtime-replace DIR")

	b.runtime.Sum, b.runtime.ModSum = "h1:a=", "h1:b="
	rt, err := b.runtimeFor("out", "")
	require.NoError(t, err)
	require.Empty(t, rt.Replace)
}
