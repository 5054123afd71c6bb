package option_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/option"
)

type core struct {
	Name  string `toml:"name" env:"NAME" example:"events" doc:"Name of the thing."`
	Retry struct {
		Max int `toml:"max" alias:"limit /max_retries" env:"MAX_RETRIES" default:"3" doc:"Most tries."`
	} `toml:"retry"`
}

type config struct {
	core
	Wait    time.Duration     `toml:"wait" default:"10s" doc:"How long to wait."`
	Paths   []string          `toml:"paths" env:"PATHS" default:"a,b" doc:"Files | folders."`
	Strict  bool              `toml:"strict" default:"true" doc:"Whether it is strict."`
	Ratio   float64           `toml:"ratio" default:"0.5" doc:"A share."`
	Port    uint16            `toml:"port" env:"PORT" default:"9090" doc:"The port."`
	Headers map[string]string `toml:"headers" doc:"Headers."`
	Routes  []route           `toml:"routes" alias:"topic_mappings" doc:"One per topic."`
	Hidden  string            `toml:"-"`
}

type route struct {
	From string `toml:"from" alias:"topic" example:"/default/events" doc:"Topic to read."`
	Deep bool   `toml:"deep" default:"true" doc:"Whether it goes deep."`
}

func load(t *testing.T, text string, env map[string]string) (config, []option.Unknown, error) {
	t.Helper()
	var doc map[string]any
	_, err := toml.Decode(text, &doc)
	require.NoError(t, err)
	var c config
	unknown, err := option.Load(option.Of("", &c), option.Source{File: "c.toml", Doc: doc, Env: env})
	return c, unknown, err
}

func TestPrecedenceIsEnvironmentThenFileThenDefault(t *testing.T) {
	t.Parallel()
	c, unknown, err := load(t, `
name = "n"
max_retries = 7
wait = "3s"
ratio = 2
[headers]
a = "1"
[[topic_mappings]]
topic = "/a/b"
[[topic_mappings]]
from = "/c/d"
deep = false
`, map[string]string{"PATHS": "x,y,z", "PORT": ""})
	require.NoError(t, err)
	require.Empty(t, unknown)
	want := config{
		Wait: 3 * time.Second, Paths: []string{"x", "y", "z"}, Strict: true, Ratio: 2, Port: 9090,
		Headers: map[string]string{"a": "1"}, Routes: []route{{From: "/a/b", Deep: true}, {From: "/c/d"}},
	}
	want.Name, want.Retry.Max = "n", 7
	require.Empty(t, cmp.Diff(want, c, cmp.AllowUnexported(config{})))
}

func TestThePresentNameWinsOverOlderOnes(t *testing.T) {
	t.Parallel()
	c, unknown, err := load(t, "name = 'n'\nmax_retries = 7\n[retry]\nlimit = 6\nmax = 5\n", nil)
	require.NoError(t, err)
	require.Empty(t, unknown)
	require.Equal(t, 5, c.Retry.Max)
	c, _, err = load(t, "name = 'n'\nmax_retries = 7\n[retry]\nlimit = 6\n", map[string]string{"MAX_RETRIES": "4"})
	require.NoError(t, err)
	require.Equal(t, 4, c.Retry.Max)
}

func TestEveryProblemIsNamedWithPlaceAndMend(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, `
wait = 3
strict = "yes"
paths = [1]
routes = [{ deep = 1 }]
[headers]
a = 1
[retry]
max = "many"
`, map[string]string{"PORT": "70000"})
	require.EqualError(t, err, `c.toml: name is missing; set name = "events" or the environment variable NAME
c.toml: retry.max: "many" is not a whole number in range; write for example 3
c.toml: wait: 3 is not a duration; write for example "10s"
c.toml: paths: 1 is not a list of strings; write for example ["one", "two"]
c.toml: strict: "yes" is not a boolean; write true or false
environment PORT: "70000" is not a whole number in range; write for example 9090
c.toml: headers: 1 is not a table of strings; write for example { name = "value" }
c.toml: routes[0].from is missing; set routes[0].from = "/default/events"
c.toml: routes[0].deep: 1 is not a boolean; write true or false`)
}

func TestUnknownKeysAreNamedWithTheNearest(t *testing.T) {
	t.Parallel()
	_, unknown, err := load(t, `
name = "n"
wiat = "1s"
max = 3
zzzzzz = 1
[[routes]]
from = "/a/b"
form = "x"
`, nil)
	require.NoError(t, err)
	var lines []string
	for _, u := range unknown {
		lines = append(lines, u.String())
	}
	require.Equal(t, []string{
		"unknown key max; did you mean retry.max?",
		"unknown key routes[0].form; did you mean routes.from?",
		"unknown key wiat; did you mean wait?",
		"unknown key zzzzzz",
	}, lines)
}

func TestTheSampleLoadsAndMeansTheDefaults(t *testing.T) {
	t.Parallel()
	var c config
	sample := option.Sample("A sample.\n", option.Of("", &c), map[string]string{"name": "mine"})
	require.Contains(t, sample, "# How long to wait.\n# wait = \"10s\"\n")
	require.Contains(t, sample, "\nname = \"mine\"\n")
	got, unknown, err := load(t, sample, nil)
	require.NoError(t, err)
	require.Empty(t, unknown)
	want, _, err := load(t, `name = "mine"`, nil)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(config{})))
}

func TestDocsHaveARowForEachOption(t *testing.T) {
	t.Parallel()
	var c config
	docs := option.Docs(option.Of("", &c))
	require.Contains(t, docs, "| `paths` | list of strings | `a,b` | `PATHS` | Files \\| folders. |\n")
	require.Contains(t, docs, "| `routes[].from` | string | required |  | Topic to read. |\n")
	require.Contains(t, docs, "| `retry.max` | integer | `3` | `MAX_RETRIES` | Most tries. |\n")
	require.NotContains(t, docs, "Hidden")
}

func TestSchemaDescribesTheSameOptions(t *testing.T) {
	t.Parallel()
	var c config
	raw, err := option.Schema("things", option.Of("", &c))
	require.NoError(t, err)
	var schema struct {
		Properties map[string]struct {
			Type       string
			Default    any
			Properties map[string]struct{ Default any }
			Items      struct {
				Properties map[string]struct{ Type string }
				Required   []string
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &schema))
	require.Equal(t, float64(3), schema.Properties["retry"].Properties["max"].Default)
	require.Equal(t, "10s", schema.Properties["wait"].Default)
	require.Equal(t, "boolean", schema.Properties["routes"].Items.Properties["deep"].Type)
	require.Equal(t, []string{"from"}, schema.Properties["routes"].Items.Required)
	again, err := option.Schema("things", option.Of("", &c))
	require.NoError(t, err)
	require.Equal(t, raw, again)
}
