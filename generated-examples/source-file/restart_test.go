package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// A script is what a writer does to app.log, step by step. It writes each of the lines l0, l1, … once.
type script struct {
	name  string
	steps []step
}

type step struct {
	do    func(*folder)
	lines int // that can be read afterwards, those of the steps before included
}

var scripts = []script{
	{name: "append", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 3, do: func(f *folder) { f.append("app.log", "l2\n") }},
		{lines: 6, do: func(f *folder) { f.append("app.log", "l3\nl4\nl5\n") }},
	}},
	{name: "partial lines", steps: []step{
		{lines: 1, do: func(f *folder) { f.append("app.log", "l0\nl") }},
		{lines: 1, do: func(f *folder) { f.append("app.log", "1") }},
		{lines: 3, do: func(f *folder) { f.append("app.log", "\nl2\n") }},
	}},
	{name: "rename", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 3, do: func(f *folder) {
			f.append("app.log", "l2\n")
			f.rename("app.log", "app.log.1")
		}},
		{lines: 5, do: func(f *folder) { f.append("app.log", "l3\nl4\n") }},
		{lines: 6, do: func(f *folder) { f.append("app.log", "l5\n") }},
	}},
	{name: "rename twice", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 3, do: func(f *folder) {
			f.append("app.log", "l2\n")
			f.rename("app.log", "app.log.1")
		}},
		{lines: 5, do: func(f *folder) { f.append("app.log", "l3\nl4\n") }},
		{lines: 5, do: func(f *folder) {
			f.rename("app.log.1", "app.log.2")
			f.rename("app.log", "app.log.1")
		}},
		{lines: 7, do: func(f *folder) { f.append("app.log", "l5\nl6\n") }},
	}},
	{name: "rename to a date, thrice", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 4, do: func(f *folder) {
			f.rename("app.log", "app-20250101.log")
			f.append("app.log", "l2\nl3\n")
		}},
		{lines: 5, do: func(f *folder) {
			f.rename("app.log", "app-20250102.log")
			f.append("app.log", "l4\n")
		}},
		{lines: 7, do: func(f *folder) {
			f.rename("app.log", "app-20250103.log")
			f.append("app.log", "l5\nl6\n")
		}},
	}},
	{name: "late lines in the renamed file", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 2, do: func(f *folder) {
			f.rename("app.log", "app.log.1")
			f.append("app.log", "")
		}},
		{lines: 4, do: func(f *folder) { f.append("app.log.1", "l2\nl3\n") }},
		{lines: 5, do: func(f *folder) { f.append("app.log.1", "l4\n") }},
		{lines: 7, do: func(f *folder) { f.append("app.log", "l5\nl6\n") }},
	}},
	{name: "renamed without a last line end", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 2, do: func(f *folder) { f.append("app.log", "l2") }},
		{lines: 5, do: func(f *folder) {
			f.rename("app.log", "app.log.1")
			f.append("app.log", "l3\nl4\n")
		}},
	}},
	{name: "copy and truncate", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 3, do: func(f *folder) { f.append("app.log", "l2\n") }},
		{lines: 3, do: func(f *folder) {
			f.copy("app.log", "app.log.1")
			f.truncate("app.log")
		}},
		{lines: 5, do: func(f *folder) { f.append("app.log", "l3\nl4\n") }},
		{lines: 6, do: func(f *folder) { f.append("app.log", "l5\n") }},
	}},
	{name: "copy, later truncate", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 3, do: func(f *folder) {
			f.append("app.log", "l2\n")
			f.copy("app.log", "app.log.1")
		}},
		{lines: 4, do: func(f *folder) {
			f.truncate("app.log")
			f.append("app.log", "l3\n")
		}},
		{lines: 6, do: func(f *folder) { f.append("app.log", "l4\nl5\n") }},
	}},
	{name: "copy and truncate, then grow beyond", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 5, do: func(f *folder) {
			f.copy("app.log", "app.log.1")
			f.truncate("app.log")
			f.append("app.log", "l2\nl3\nl4\n")
		}},
		{lines: 7, do: func(f *folder) { f.append("app.log", "l5\nl6\n") }},
	}},
	{name: "copy and truncate twice", steps: []step{
		{lines: 2, do: func(f *folder) { f.append("app.log", "l0\nl1\n") }},
		{lines: 2, do: func(f *folder) {
			f.copy("app.log", "app.log.1")
			f.truncate("app.log")
		}},
		{lines: 5, do: func(f *folder) { f.append("app.log", "l2\nl3\nl4\n") }},
		{lines: 5, do: func(f *folder) {
			f.rename("app.log.1", "app.log.2")
			f.copy("app.log", "app.log.1")
			f.truncate("app.log")
		}},
		{lines: 7, do: func(f *folder) { f.append("app.log", "l5\nl6\n") }},
	}},
}

// TestRestart runs every script with the source stopped after every number of lines at every step, and started again at every
// position that it returned before; the rest of the script runs meanwhile. Nothing may be lost, and what comes twice is what lies
// behind the position, under the same event ids.
func TestRestart(t *testing.T) {
	t.Parallel()
	for _, s := range scripts {
		for _, paths := range [][]string{{"app.log"}, {"app*"}} {
			for steps := 1; steps <= len(s.steps); steps++ {
				for read := 1; read <= s.steps[steps-1].lines; read++ {
					name := fmt.Sprintf("%s/%s/%d steps/%d lines", s.name, paths[0], steps, read)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						restartAt(t, s, paths, steps, read)
					})
				}
			}
		}
	}
}

// restartAt runs some steps, reads so many lines, and restarts at every position.
func restartAt(t *testing.T, s script, paths []string, steps, read int) {
	for back := 0; back < read; back++ {
		f := newFolder(t)
		c := f.config(paths...)
		c.BatchLines = 1
		first := f.openPolling(c, nil)
		s.steps[0].do(f)
		first.read(1) // the source knows the file before it is rotated
		s.run(f, 1, steps)
		first.read(read)
		first.close()
		s.run(f, steps, len(s.steps))
		from := first.positions[read-1-back]
		second := f.openPolling(c, from)
		second.positions = []connect.Position{from}
		second.read(s.lines() - read + back)
		second.close()
		all := append(first.values()[:read-back:read-back], second.values()...)
		require.Equal(t, s.want(), all, "restarted %d lines back", back)
		require.Equal(t, first.ids()[read-back:], second.ids()[:back], "ids of what came twice")
		requireDistinct(t, append(first.ids()[:read-back:read-back], second.ids()...))
		require.Empty(t, append(first.warnings, second.warnings...))
		f.requireDone(c, second.last())
	}
}

// TestLag runs every script to its end while the source stands at every line: it is not stopped, but slow.
func TestLag(t *testing.T) {
	t.Parallel()
	for _, s := range scripts {
		for _, paths := range [][]string{{"app.log"}, {"app*"}} {
			for read := 1; read <= s.steps[0].lines; read++ {
				t.Run(fmt.Sprintf("%s/%s/%d lines", s.name, paths[0], read), func(t *testing.T) {
					t.Parallel()
					f := newFolder(t)
					c := f.config(paths...)
					c.BatchLines = 1
					r := f.open(c, nil)
					s.steps[0].do(f)
					r.read(read)
					s.run(f, 1, len(s.steps))
					r.read(s.lines())
					require.Equal(t, s.want(), r.values())
					requireDistinct(t, r.ids())
					require.Empty(t, r.warnings)
					f.requireDone(c, r.last())
				})
			}
		}
	}
}

// run does the steps from number from to number to-1.
func (s script) run(f *folder, from, to int) {
	for _, step := range s.steps[from:to] {
		step.do(f)
	}
}

func (s script) lines() int { return s.steps[len(s.steps)-1].lines }

// want is every line that the script writes.
func (s script) want() []string {
	want := make([]string, s.lines())
	for i := range want {
		want[i] = fmt.Sprintf("l%d", i)
	}
	return want
}

func requireDistinct(t testing.TB, ids []string) {
	t.Helper()
	seen := make(map[string]int)
	for i, id := range ids {
		if first, ok := seen[id]; ok {
			t.Fatalf("records %d and %d share the event id %s", first, i, id)
		}
		seen[id] = i
		require.Len(t, strings.Split(id, "-"), 3)
	}
}
