package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// A writer rotates app.log in every way, at random, and knows what it wrote.
type writer struct {
	*folder
	random *rand.Rand
	lines  []string // in the order in which they were written
	half   string   // a last line that has no end yet
	old    int      // files app.log.1 … app.log.<old>
	banner string   // first line of every new content
	mode   int      // 0: rotates by renaming, 1: by copying and truncating, 2: by both
}

func (w *writer) step() {
	w.Helper()
	switch n := w.random.IntN(10); {
	case n < 5:
		w.write(1 + w.random.IntN(4))
	case n < 6 && w.half == "":
		w.half = fmt.Sprintf("line %d", len(w.lines))
		w.append("app.log", w.half[:4])
	case w.mode == 0 || w.mode == 2 && n < 8:
		w.finish()
		w.shift()
		w.rename("app.log", "app.log.1")
		w.write(w.random.IntN(2))
	default:
		w.finish()
		w.shift()
		w.copy("app.log", "app.log.1")
		w.truncate("app.log")
		w.write(w.random.IntN(2))
	}
}

// write appends n lines, and the banner before them when the file is empty.
func (w *writer) write(n int) {
	w.Helper()
	w.finish()
	text := ""
	if info, err := os.Stat(w.path("app.log")); w.banner != "" && (err != nil || info.Size() == 0) {
		text += w.banner + "\n"
		w.lines = append(w.lines, w.banner)
	}
	for range n {
		line := fmt.Sprintf("line %d", len(w.lines))
		w.lines = append(w.lines, line)
		text += line + "\n"
	}
	w.append("app.log", text)
}

// finish ends a line that was begun.
func (w *writer) finish() {
	w.Helper()
	if w.half != "" {
		w.append("app.log", w.half[4:]+"\n")
		w.lines = append(w.lines, w.half)
		w.half = ""
	}
}

// shift makes room for a new app.log.1.
func (w *writer) shift() {
	w.Helper()
	for i := w.old; i > 0; i-- {
		w.rename(fmt.Sprintf("app.log.%d", i), fmt.Sprintf("app.log.%d", i+1))
	}
	w.old++
}

// TestRandom lets a writer and a source run side by side in turns; the source is slow, stopped, and set back to earlier positions.
func TestRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		for _, paths := range []string{"app.log", "app*"} {
			t.Run(fmt.Sprintf("seed %d/%s", seed, paths), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, 0))
				w := &writer{folder: newFolder(t), random: random, mode: int(seed % 3)}
				if seed%2 == 0 && w.mode == 0 {
					w.banner = "service started"
				}
				randomRun(t, w, paths)
			})
		}
	}
}

func randomRun(t *testing.T, w *writer, paths string) {
	// Where the pattern matches the copies as well, one that is found only after the next rotation may pass for a file of its own.
	ordered := paths == "app.log" || w.mode == 0
	c := w.config(paths)
	c.BatchLines = 1 + w.random.IntN(3)
	w.write(2)
	r := w.openPolling(c, nil)
	r.read(1) // the source knows the file before it is rotated
	ids := make(map[string]string)
	for range 25 {
		for range w.random.IntN(4) {
			w.step()
		}
		switch w.random.IntN(4) {
		case 0:
			r = w.restart(c, r)
		case 1:
			r.read(len(w.lines))
		default:
			r.read(len(r.records) + w.random.IntN(len(w.lines)-len(r.records)+1))
		}
		if ordered && w.mode < 2 {
			r.requireSameIDs(ids)
		}
	}
	w.finish()
	r.read(len(w.lines))
	if ordered {
		require.Equal(t, w.lines, r.values())
	} else {
		require.ElementsMatch(t, w.lines, r.values())
	}
	requireDistinct(t, r.ids())
	require.Empty(t, r.warnings)
	r.close()
	w.requireDone(c, r.last())
}

// restart stops the source and goes on at one of its last positions, forgetting what came after it.
func (w *writer) restart(c config, r *reader) *reader {
	w.Helper()
	r.close()
	at := len(r.positions) - 1 - w.random.IntN(min(4, len(r.positions)))
	from := r.positions[at]
	for at+1 < len(r.positions) && string(r.positions[at+1]) == string(from) {
		at++
	}
	next := w.openPolling(c, from)
	next.records, next.positions = r.records[:at+1:at+1], append([]connect.Position(nil), r.positions[:at+1]...)
	next.warnings = r.warnings
	return next
}

// requireSameIDs checks that a place has the event id that it had when it was read before.
func (r *reader) requireSameIDs(ids map[string]string) {
	r.Helper()
	for i, id := range r.ids() {
		place := fmt.Sprintf("%d", i)
		if first, ok := ids[place]; ok {
			require.Equal(r, first, id, "event id of line %d", i)
		}
		ids[place] = id
	}
}
