package question_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/question"
)

func testCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Load(fstest.MapFS{
		"systems/http/system.toml": {Data: []byte("title = \"HTTP\"\n[kinds.sink]\nsummary = \"Posts.\"\n")},
		"source/main.go.tmpl":      {},
	})
	require.NoError(t, err)
	return cat
}

func TestCompleteFillsDefaults(t *testing.T) {
	t.Parallel()
	got, err := question.Complete(question.Registry(testCatalog(t)), question.Answers{
		question.Kind: "sink", question.System: "http", question.Module: "example.com/acme/hook/v2",
	})
	require.NoError(t, err)
	want := question.Answers{
		question.Kind: "sink", question.System: "http", question.Module: "example.com/acme/hook/v2",
		question.Dir: "hook", question.Topic: "/default/events",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Complete (-want +got):\n%s", diff)
	}
}

func TestMissingNamesOnlyWhatHasNoDefault(t *testing.T) {
	t.Parallel()
	qs := question.Registry(testCatalog(t))
	given := question.Answers{question.Kind: "sink"}
	complete, err := question.Complete(qs, given)
	require.NoError(t, err)
	require.Equal(t, given, complete, "defaults depend on answers that are not there yet")
	var flags []string
	for _, q := range question.Missing(qs, complete) {
		flags = append(flags, q.Flag())
	}
	require.Equal(t, []string{"SYSTEM", "--module"}, flags)
}

func TestCompleteRefusesWithTheMend(t *testing.T) {
	t.Parallel()
	good := question.Answers{
		question.Kind: "sink", question.System: "http", question.Module: "example.com/acme/hook",
		question.Dir: "out", question.Topic: "/default/events",
	}
	tests := map[string]struct {
		key         question.Key
		value, want string
	}{
		"kind":                 {question.Kind, "sinc", `KIND: unknown kind "sinc"`},
		"system":               {question.System, "htp", `SYSTEM: unknown sink system "htp"`},
		"module with a space":  {question.Module, "foo bar", `--module: "foo bar" is no Go module path (invalid char ' '); write one like example.com/you/hook`},
		"module without a dot": {question.Module, "acme/hook", `--module: "acme/hook" is no Go module path (missing dot in first path element)`},
		"module with upper":    {question.Module, "example.com/Hook.X", `its last element "Hook.X" becomes the connector's name`},
		"module, trailing /":   {question.Module, "example.com/hook/", `(trailing slash)`},
		"topic, one part":      {question.Topic, "events", `--topic: "events" is not a topic; write /namespace/name`},
		"topic, three parts":   {question.Topic, "/a/b/c", `"/a/b/c" is not a topic`},
		"topic, space":         {question.Topic, "/a/b c", `"/a/b c" is not a topic`},
		"topic, line break":    {question.Topic, "/a/b\n", `is not a topic`},
		"dir, blank":           {question.Dir, "  ", `--dir: "  " is not a directory`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := question.Answers{}
			for k, v := range good {
				a[k] = v
			}
			a[tt.key] = tt.value
			_, err := question.Complete(question.Registry(testCatalog(t)), a)
			require.ErrorContains(t, err, tt.want)
			var wrong *question.Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, tt.key, wrong.Question.Key)
		})
	}
}

// Whatever the wizard asks a flag answers, and every question explains itself.
func TestEveryQuestionIsComplete(t *testing.T) {
	t.Parallel()
	qs := question.Registry(testCatalog(t))
	require.LessOrEqual(t, len(qs), 5, "the wizard asks at most five questions")
	seen := map[question.Key]bool{}
	for _, q := range qs {
		require.False(t, seen[q.Key], "%s stands twice", q.Key)
		seen[q.Key] = true
		require.NotEmpty(t, q.Title, q.Key)
		require.NotEmpty(t, q.Help, q.Key)
		require.NotEmpty(t, q.Example, q.Key)
		require.NotNil(t, q.Validate, q.Key)
	}
}

func TestFileRoundTrip(t *testing.T) {
	t.Parallel()
	cat := testCatalog(t)
	f := question.File{
		Generator: "v0.1.0", RuntimeVersion: "v0.1.0", RuntimeReplace: "../../runtime",
		Answers: question.Answers{
			question.Kind: "sink", question.System: "http", question.Module: "example.com/acme/hook",
			question.Dir: "elsewhere", question.Topic: "/a/b",
		},
	}
	text, err := question.EncodeFile(cat, f)
	require.NoError(t, err)
	require.NotContains(t, string(text), "elsewhere", "where a repository lies is not part of it")
	require.Contains(t, string(text), `command = "danube-connect-gen new sink http --module example.com/acme/hook --topic /a/b"`)

	got, err := question.DecodeFile(text)
	require.NoError(t, err)
	delete(f.Answers, question.Dir)
	if diff := cmp.Diff(f, got); diff != "" {
		t.Errorf("DecodeFile(EncodeFile(f)) (-want +got):\n%s", diff)
	}

	_, err = question.DecodeFile([]byte("generator = \"v9\"\nshape = \"round\"\n"))
	require.ErrorContains(t, err, "unknown key shape")
}

func TestQuote(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"./hook-2": "./hook-2", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$HOME": "'$HOME'", "~/x": "'~/x'",
	}
	for in, want := range tests {
		require.Equal(t, want, question.Quote(in))
	}
}
