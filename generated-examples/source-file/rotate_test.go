package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// What a truncation without a copy destroys is told with the number of bytes; the new content is read.
func TestTruncatedWithoutCopy(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{true, false} {
		t.Run(fmt.Sprintf("live %v", live), func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.append("app.log", "a\nb\nc\nlonger\n")
			c := f.config("app.log")
			c.BatchLines = 1
			r := f.openPolling(c, nil)
			r.read(2)
			if !live {
				r.close()
				r = f.openPolling(c, r.last())
			}
			f.truncate("app.log")
			f.append("app.log", "new\n")
			for len(r.values()) == 0 || r.values()[len(r.values())-1] != "new" {
				r.read(len(r.records) + 1)
			}
			r.close()
			if live {
				// The block that was read before is still published.
				require.Equal(t, []string{"a", "b", "c", "longer", "new"}, r.values())
				require.Empty(t, r.warnings)
				return
			}
			require.Equal(t, []string{"new"}, r.values())
			require.Equal(t, []string{f.path("app.log") + " was truncated before its last 9 bytes were read; they are lost, because no file beside it is a copy: let rotation rename the file, or leave the copy beside it uncompressed"}, r.warnings)
		})
	}
}

// A truncation is found however the new content relates to the old in size, and nothing is said when nothing was lost.
func TestTruncatedWhenAllWasRead(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]string{"shorter": "x\n", "as long": "x\nyy\n", "longer": "x\nyy\nzzz\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.append("app.log", "a\nbb\n")
			c := f.config("app.log")
			r := f.openPolling(c, nil)
			r.read(2)
			require.NoError(t, os.WriteFile(f.path("app.log"), []byte(next), 0o644)) // truncates, does not replace
			want := append([]string{"a", "bb"}, strings.Fields(next)...)
			r.read(len(want))
			require.Equal(t, want, r.values())
			require.Empty(t, r.warnings)
			requireDistinct(t, r.ids())
			r.close()
			f.requireDone(c, r.last())
		})
	}
}

// The same lines at the same places in the next content of a file are other records.
func TestSameLinesAgain(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "start\nstop\n")
	r := f.openPolling(f.config("app.log"), nil)
	r.read(2)
	f.truncate("app.log")
	require.Empty(t, r.settle(f))
	f.append("app.log", "start\nstop\n")
	r.read(4)
	f.remove("app.log")
	require.Empty(t, r.settle(f))
	f.append("app.log", "start\nstop\n")
	r.read(6)
	require.Equal(t, []string{"start", "stop", "start", "stop", "start", "stop"}, r.values())
	requireDistinct(t, r.ids())
	require.Empty(t, r.warnings)
	r.close()
}

// settle lets the source look at the files until it has nothing more to do, and returns what it read.
func (r *reader) settle(f *folder) []string {
	f.Helper()
	before := len(r.records)
	marker := fmt.Sprintf("settle%d.log", before)
	s := r.source.(*source)
	s.paths.include = append(s.paths.include, f.path(marker))
	f.append(marker, "settled\n")
	r.read(before + 1)
	var seen []string
	for i := before; i < len(r.records); i++ {
		if string(r.records[i].Value) != "settled" {
			seen = append(seen, string(r.records[i].Value))
		}
	}
	r.records, r.positions = r.records[:before], r.positions[:before]
	return seen
}

func TestDeleted(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\nb\nc")
	c := f.config("*.log")
	c.BatchLines = 1
	r := f.openPolling(c, nil)
	r.read(1)
	f.remove("app.log") // what is open can be read to its end
	r.read(3)
	require.Equal(t, []string{"a", "b", "c"}, r.values())
	f.append("app.log", "d\n")
	r.read(4)
	require.Equal(t, "d", r.values()[3])
	requireDistinct(t, r.ids())
	r.close()
}

func TestDeletedWhileStopped(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\nb\n")
	f.append("other.log", "x\n")
	c := f.config("*.log")
	c.BatchLines = 1
	r := f.openPolling(c, nil)
	r.read(3)
	r.close()
	f.remove("app.log")
	f.append("other.log", "y\n")
	next := f.openPolling(c, r.last())
	next.read(1)
	require.Equal(t, []string{"y"}, next.values())
	require.Equal(t, []string{f.path("app.log") + " was deleted while the connector did not read it; if it held more than 4 bytes, the rest is lost"}, next.warnings)
	require.NotContains(t, string(next.last()), "app.log", "what is gone is forgotten")
	next.close()
}

// A file that is no longer asked for is not read, and not complained about.
func TestNoLongerWanted(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("a.log", "a\n")
	f.append("b.log", "b\n")
	r := f.openPolling(f.config("*.log"), nil)
	r.read(2)
	r.close()
	f.append("a.log", "not wanted\n")
	f.append("b.log", "wanted\n")
	next := f.openPolling(f.config("b.log"), r.last())
	next.read(1)
	require.Equal(t, []string{"wanted"}, next.values())
	require.Empty(t, next.warnings)
	require.NotContains(t, string(next.last()), "a.log")
	next.close()
}

// After a restart of the machine a disk may have another device number; the files are the same.
func TestDeviceRenumbered(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\nb\n")
	c := f.config("app.log")
	c.BatchLines = 1
	r := f.openPolling(c, nil)
	r.read(2)
	r.close()
	moved := regexp.MustCompile(`"dev":\d+`).ReplaceAll(r.positions[0], []byte(`"dev":1`))
	next := f.openPolling(c, connect.Position(moved))
	next.read(1)
	require.Equal(t, "b", next.values()[0])
	require.Equal(t, r.ids()[1], next.ids()[0])
	require.Empty(t, next.warnings)
	next.close()
}

// A copy of a file is not published again, whenever it is made and in whatever order the files are found.
func TestCopy(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("a line of a file with more than a kilobyte\n", 100)
	tests := map[string]struct{ content, original, copy string }{
		"related name":              {"a\nb\n", "app.log", "app.log.bak"},
		"any name, large enough":    {big, "app.log", "zzz.log"},
		"any name, found before it": {big, "app.log", "aaa.log"},
	}
	for name, tt := range tests {
		for _, when := range []string{"before the start", "while it runs", "while it is stopped"} {
			t.Run(name+", "+when, func(t *testing.T) {
				t.Parallel()
				f := newFolder(t)
				c := f.config("*.log*")
				lines := strings.Count(tt.content, "\n")
				f.append(tt.original, tt.content)
				if when == "before the start" {
					f.copy(tt.original, tt.copy)
				}
				r := f.openPolling(c, nil)
				r.read(lines)
				if when == "while it is stopped" {
					r.close()
					r.source = f.openPolling(c, r.last()).source
				}
				if when != "before the start" {
					f.copy(tt.original, tt.copy)
				}
				require.Empty(t, r.settle(f))
				f.append(tt.original, "more\n")
				r.read(lines + 1)
				require.Equal(t, "more", r.values()[lines])
				r.close()
			})
		}
	}
}

// Two files that begin alike are two files: the second is read from its beginning as soon as it differs.
func TestAlikeIsNoCopy(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	banner := strings.Repeat("the same banner in every file\n", 50)
	f.append("a.log", banner+"of a\n")
	f.append("b.log", banner+"of b\n")
	f.append("c.log", banner)
	r := f.openPolling(f.config("*.log"), nil)
	r.read(102)
	require.Empty(t, r.settle(f))
	f.append("c.log", "of c\n")
	r.read(153)
	for _, want := range []string{"of a", "of b", "of c"} {
		require.Contains(t, r.values(), want)
	}
	requireDistinct(t, r.ids())
	r.close()
}

// Editors and rsync write a new file with the old content and put it in place of the old one.
func TestSavedAnew(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{true, false} {
		t.Run(fmt.Sprintf("live %v", live), func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.append("app.log", strings.Repeat("a line of a file with more than a kilobyte\n", 100))
			c := f.config("app.log")
			r := f.openPolling(c, nil)
			r.read(100)
			if !live {
				r.close()
			}
			f.copy("app.log", ".tmp")
			f.append(".tmp", "added\n")
			f.rename(".tmp", "app.log")
			if !live {
				r.source = f.openPolling(c, r.last()).source
			}
			r.read(101)
			require.Equal(t, "added", r.values()[100])
			require.Empty(t, r.warnings)
			r.close()
			f.requireDone(c, r.last())
		})
	}
}

// A renamed file gets its last lines for as long as rotate_wait, and one more look at its end.
func TestLastLineWithoutEnd(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "a\nhalf")
	c := f.config("app.log")
	r := f.openPolling(c, nil)
	r.read(1)
	f.rename("app.log", "app.log.1")
	f.append("app.log", "new\n")
	f.append("app.log.1", " a line")
	r.read(3)
	require.Equal(t, []string{"a", "half a line", "new"}, r.values())
	r.close()
	f.requireDone(c, r.last())
}

// The directory may go away for a while, as network disks do: what was read is remembered.
func TestDirectoryAway(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	require.NoError(t, os.Mkdir(f.path("disk"), 0o755))
	f.append("disk/app.log", "a\n")
	f.append("local.log", "x\n")
	c := f.config("disk/*.log", "*.log")
	r := f.openPolling(c, nil)
	r.read(2)
	r.close()
	f.rename("disk", "away")
	f.append("local.log", "y\n")
	second := f.openPolling(c, r.last())
	second.read(1)
	second.close()
	f.rename("away", "disk")
	f.append("disk/app.log", "b\n")
	third := f.openPolling(c, second.last())
	third.read(1)
	require.Equal(t, []string{"b"}, third.values())
	require.Empty(t, third.warnings)
	third.close()
}
