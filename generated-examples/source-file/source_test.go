package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

func TestReadOnce(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		content string
		change  func(*config)
		want    []string
	}{
		"lines":               {content: "a\nb\n", want: []string{"a", "b"}},
		"no last line end":    {content: "a\nb", want: []string{"a", "b"}},
		"nothing":             {content: "", want: []string{}},
		"a line end only":     {content: "\n", want: []string{""}},
		"empty lines":         {content: "\na\n\n", want: []string{"", "a", ""}},
		"empty lines skipped": {content: "\na\n\r\n\nb\n", change: func(c *config) { c.SkipEmpty = true }, want: []string{"a", "b"}},
		"only empty lines":    {content: "\n\n\n", change: func(c *config) { c.SkipEmpty = true }, want: []string{}},
		"CR LF":               {content: "a\r\nb\r\n", want: []string{"a", "b"}},
		"CR LF kept":          {content: "a\r\nb\r\n", change: func(c *config) { c.KeepCR = true }, want: []string{"a\r", "b\r"}},
		"a CR before the end": {content: "a\r", want: []string{"a\r"}},
		"Unicode":             {content: "déjà vu\n日本語\n🐟\n", want: []string{"déjà vu", "日本語", "🐟"}},
		"not UTF-8":           {content: "\xff\xfe\n", want: []string{"\xff\xfe"}},
		"a byte order mark":   {content: "\ufeffa\n", want: []string{"\ufeffa"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.append("app.log", tt.content)
			c := f.config("app.log")
			c.Follow = false
			if tt.change != nil {
				tt.change(&c)
			}
			r := f.open(c, nil)
			r.readAll()
			require.Equal(t, tt.want, r.values())
			require.Empty(t, r.warnings)
		})
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "first\nsecond\n")
	c := f.config("app.log")
	c.Key = "path"
	r := f.open(c, nil)
	r.read(2)
	for i, offset := range []string{"0", "6"} {
		record := r.records[i]
		require.Equal(t, f.path("app.log"), record.Key)
		require.Equal(t, f.path("app.log"), record.Attributes["file.path"])
		require.Equal(t, offset, record.Attributes["file.offset"])
		require.Regexp(t, "^[0-9a-f]{16}-"+offset+"-[0-9a-f]+$", record.EventID())
		require.Len(t, record.Attributes, 3)
		require.Empty(t, record.Topic)
	}
	c.Key = "none"
	r = f.open(c, nil)
	r.read(2)
	require.Empty(t, r.records[0].Key)
}

// A line that does not fit comes in pieces, and a restart between two of them goes on with the next.
func TestLongLine(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	long := strings.Repeat("é", 1000)
	f.append("app.log", "short\n"+long+"\nshort again\n")
	c := f.config("app.log")
	c.MaxLineBytes, c.BatchLines = 301, 1
	want := []string{"short"}
	for rest := long; rest != ""; rest = rest[min(len(rest), 300):] {
		want = append(want, rest[:min(len(rest), 300)])
	}
	want = append(want, "short again")
	all := f.openPolling(c, nil)
	all.read(len(want))
	require.Equal(t, want, all.values())
	requireDistinct(t, all.ids())
	for i, record := range all.records {
		part, more := fmt.Sprint(i), "true"
		if i == 0 || i == len(want)-1 {
			part, more = "", ""
		}
		if i == len(want)-2 {
			more = ""
		}
		require.Equal(t, part, record.Attributes["file.part"], "record %d", i)
		require.Equal(t, more, record.Attributes["file.more"], "record %d", i)
		rest := f.openPolling(c, all.positions[i])
		rest.read(len(want) - 1 - i)
		require.Equal(t, want[i+1:], rest.values())
		require.Equal(t, all.ids()[i+1:], rest.ids())
		for j := range rest.records {
			require.Equal(t, all.records[i+1+j].Attributes, rest.records[j].Attributes)
		}
		rest.close()
	}
	all.close()
}

// A line of the largest size, longer than many blocks, arrives whole.
func TestHugeLine(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	huge := strings.Repeat("0123456789abcdef", 1<<16)
	f.append("app.log", huge[:len(huge)/3])
	r := f.openPolling(f.config("app.log"), nil)
	f.append("app.log", huge[len(huge)/3:]+"\nnext\n")
	r.read(2)
	require.Equal(t, []string{huge, "next"}, r.values())
	r.close()
}

func TestBatchLimits(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", strings.Repeat("0123456789\n", 100))
	c := f.config("app.log")
	c.BatchLines = 7
	r := f.openPolling(c, nil)
	b, err := r.source.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, b.Records, 7)
	r.close()
	c.BatchLines, c.BatchBytes = 100, 25
	r = f.openPolling(c, nil)
	b, err = r.source.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, b.Records, 3, "the one that reaches 25 bytes is the last")
	r.close()
}

// A file with a long backlog does not keep the others waiting.
func TestFairness(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("a.log", strings.Repeat("much\n", 100_000))
	f.append("b.log", "little\n")
	r := f.openPolling(f.config("*.log"), nil)
	r.read(2000)
	require.Contains(t, r.values(), "little")
	r.close()
}

func TestManyFiles(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	c := f.config("*/*.log")
	r := f.open(c, nil)
	want := make(map[string][]string)
	for i := range 300 {
		dir := fmt.Sprintf("d%d", i%10)
		require.NoError(t, os.MkdirAll(f.path(dir), 0o755))
		name := fmt.Sprintf("%s/%d.log", dir, i)
		for line := range 5 {
			want[f.path(name)] = append(want[f.path(name)], fmt.Sprintf("%d of %s", line, name))
		}
		f.append(name, strings.Join(want[f.path(name)], "\n")+"\n")
	}
	r.read(1500)
	got := make(map[string][]string)
	for _, record := range r.records {
		path := record.Attributes["file.path"]
		got[path] = append(got[path], string(record.Value))
	}
	require.Equal(t, want, got)
	r.close()
	f.requireDone(c, r.last())
}

func TestStartAtEnd(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "old\nolder\nbegun")
	f.append("whole.log", "old\n")
	f.append("long.log", strings.Repeat("x", 100))
	f.append("empty.log", "")
	c := f.config("*.log")
	c.Start, c.MaxLineBytes = "end", 50
	r := f.openPolling(c, nil)
	_, err := r.source.Read(expired(t)) // looks at the files
	require.ErrorIs(t, err, context.Canceled)
	f.append("app.log", " line\n")
	f.append("whole.log", "new\n")
	f.append("long.log", "tail\n")
	f.append("empty.log", "first\n")
	f.append("later.log", "from its beginning\n")
	r.read(5)
	require.ElementsMatch(t, []string{"begun line", "new", "tail", "first", "from its beginning"}, r.values())
	r.close()
	f.append("unseen.log", "from its beginning too\n")
	next := f.openPolling(c, r.last())
	next.read(1)
	require.Equal(t, []string{"from its beginning too"}, next.values())
	next.close()
}

// expired is a context that ends as soon as a source has nothing to read.
func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	return ctx
}

func TestReadReturnsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\n")
	c := f.config("app.log")
	c.PollInterval = time.Minute
	r := f.open(c, nil)
	r.read(1)
	_, err := r.source.Read(expired(t))
	require.ErrorIs(t, err, context.Canceled)
}

// Where the operating system tells of changes, nothing waits for the next poll.
func TestChangesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\n")
	c := f.config("*.log")
	c.PollInterval, c.RotateWait = time.Minute, time.Minute
	r := f.open(c, nil)
	r.read(1)
	f.append("app.log", "b\n")
	r.read(2)
	f.append("new.log", "c\n")
	r.read(3)
	f.append("new.log", "d\n")
	r.read(4)
	f.rename("app.log", "app.log.1")
	f.append("app.log.1", "e\n")
	r.read(5)
	f.append("app.log", "f\n")
	r.read(6)
	f.copy("app.log", "app.log.2")
	f.truncate("app.log")
	f.append("app.log", "gg\n")
	r.read(7)
	require.Equal(t, []string{"a", "b", "c", "d", "e", "f", "gg"}, r.values())
}

func TestReadOnceTwice(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	c := f.config("*.csv")
	c.Follow = false
	f.append("1.csv", "a\nb\n")
	first := f.open(c, nil)
	first.readAll()
	_, err := first.source.Read(t.Context())
	require.ErrorIs(t, err, io.EOF)
	f.append("1.csv", "c\n")
	f.append("2.csv", "d\n")
	second := f.open(c, first.last())
	second.readAll()
	require.Equal(t, []string{"a", "b"}, first.values())
	require.ElementsMatch(t, []string{"c", "d"}, second.values())
}

func TestWhichFiles(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("a.log", "a\n")
	f.append("b.log", "b\n")
	f.append("debug.log", "debug\n")
	f.append("c.txt", "c\n")
	require.NoError(t, os.Mkdir(f.path("dir.log"), 0o755))
	f.append("dir.log/inner.log", "inner\n")
	f.append("odd[1].log", "odd\n")
	require.NoError(t, os.Symlink(f.path("c.txt"), f.path("link.log")))
	require.NoError(t, os.Link(f.path("a.log"), f.path("same-as-a.log")))
	tests := map[string]struct {
		paths, exclude []string
		want           []string
	}{
		"pattern":            {paths: []string{"*.log"}, want: []string{"a", "b", "debug", "odd", "c"}},
		"name excluded":      {paths: []string{"*.log"}, exclude: []string{"d*.log", "odd*"}, want: []string{"a", "b", "c"}},
		"path excluded":      {paths: []string{"*.log"}, exclude: []string{f.path("[a-o]*.log")}, want: []string{"a"}},
		"literal":            {paths: []string{"b.log"}, want: []string{"b"}},
		"bracket in a name":  {paths: []string{`odd\[1\].log`}, want: []string{"odd"}},
		"overlapping":        {paths: []string{"a*", "*.log", "a.log"}, exclude: []string{"debug*", "odd*"}, want: []string{"a", "b", "c"}},
		"in a subdirectory":  {paths: []string{"*/*.log"}, want: []string{"inner"}},
		"symbolic link":      {paths: []string{"link.log"}, want: []string{"c"}},
		"two paths, one dir": {paths: []string{"a.log", "dir.log/*"}, want: []string{"a", "inner"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := f.config(tt.paths...)
			c.Exclude, c.Follow = tt.exclude, false
			r := &reader{TB: t}
			s, err := newSource(c, nil)
			require.NoError(t, err)
			r.source = s
			r.readAll()
			r.close()
			require.ElementsMatch(t, tt.want, r.values())
		})
	}
}

// A link that is turned to another file, as container runtimes do, leads from the one to the other.
func TestSymbolicLinkTurned(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	require.NoError(t, os.Mkdir(f.path("real"), 0o755))
	f.append("real/0.log", "a\n")
	require.NoError(t, os.Symlink(f.path("real/0.log"), f.path("pod.log")))
	r := f.openPolling(f.config("pod.log"), nil)
	r.read(1)
	f.append("real/0.log", "b\n")
	f.append("real/1.log", "c\nd\n")
	require.NoError(t, errors.Join(os.Remove(f.path("pod.log")), os.Symlink(f.path("real/1.log"), f.path("pod.log"))))
	r.read(4)
	require.Equal(t, []string{"a", "b", "c", "d"}, r.values())
	r.close()
	f.requireDone(f.config("pod.log"), r.last())
}

func TestPathThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("\xff.log", "a\nb\n")
	c := f.config("*.log")
	c.BatchLines = 1
	r := f.openPolling(c, nil)
	r.read(1)
	require.Equal(t, f.path("\uFFFD.log"), r.records[0].Attributes["file.path"])
	r.close()
	next := f.openPolling(c, r.last())
	next.read(1)
	require.Equal(t, []string{"b"}, next.values())
	next.close()
}

func TestCommitAndPing(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\n")
	r := f.open(f.config("app.log"), nil)
	r.read(1)
	require.NoError(t, r.source.Commit(t.Context(), r.last()))
	require.NoError(t, r.source.(connect.Pinger).Ping(t.Context()))
}
