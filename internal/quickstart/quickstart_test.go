package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrote writes n lines to a file, with both rotations on the way, and gives the lines in order.
func wrote(t *testing.T, n int) (*logWriter, [][]byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.log")
	w, err := newLogWriter(path, "a.log", []commit{{Hash: "1", Files: []string{"x"}}, {Hash: "2"}})
	require.NoError(t, err)
	var files [][]byte
	keep := func(name string) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, text)
	}
	require.NoError(t, w.write(n/3))
	require.NoError(t, w.rotateByRename())
	keep(path + ".1")
	require.NoError(t, w.write(n/3))
	require.NoError(t, w.rotateByTruncation())
	keep(path + ".1")
	require.NoError(t, w.write(n-2*(n/3)))
	keep(path)
	require.NoError(t, w.file.Close())
	var lines [][]byte
	scanner := bufio.NewScanner(bytes.NewReader(bytes.Join(files, nil)))
	for scanner.Scan() {
		lines = append(lines, bytes.Clone(scanner.Bytes()))
	}
	require.Len(t, lines, n)
	return w, lines
}

// A post is one delivery of a line.
type post struct {
	line []byte
	key  string
}

// tallyOf posts to a receiver and asks it.
func tallyOf(t *testing.T, posts []post) tally {
	t.Helper()
	r := newReceiver()
	for i, p := range posts {
		req := httptest.NewRequest(http.MethodPost, "/events", bytes.NewReader(p.line))
		req.Header.Set("Idempotency-Key", p.key)
		req.Header.Set("Danube-Offset", strconv.Itoa(i))
		w := httptest.NewRecorder()
		r.handler().ServeHTTP(w, req)
		require.Equal(t, http.StatusNoContent, w.Code)
	}
	w := httptest.NewRecorder()
	r.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/tally", nil))
	var got tally
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	return got
}

func posts(lines [][]byte) []post {
	var all []post
	for i, l := range lines {
		all = append(all, post{l, "id-" + strconv.Itoa(i)})
	}
	return all
}

func TestTheTableTellsTheTruth(t *testing.T) {
	t.Parallel()
	w, lines := wrote(t, 30)
	logs := []*logWriter{w}
	good := posts(lines)
	require.True(t, judge(logs, tallyOf(t, good), 2).ok())

	again := append(append([]post{}, good[:20]...), good[10:]...) // a replay under the same ids
	r := judge(logs, tallyOf(t, again), 2)
	require.True(t, r.ok())
	require.Equal(t, 10, r.Deliveries-r.Distinct)

	for name, spoil := range map[string]func() (tally, int){
		"nobody was killed": func() (tally, int) { return tallyOf(t, good), 1 },
		"lost":              func() (tally, int) { return tallyOf(t, append(append([]post{}, good[:7]...), good[8:]...)), 2 },
		"lost at the end":   func() (tally, int) { return tallyOf(t, good[:29]), 2 },
		"nothing came":      func() (tally, int) { return tallyOf(t, nil), 2 },
		"doubled under another id": func() (tally, int) {
			return tallyOf(t, append(append([]post{}, good...), post{lines[3], "other"})), 2
		},
		"out of order": func() (tally, int) {
			swapped := append([]post{}, good...)
			swapped[4], swapped[5] = swapped[5], swapped[4]
			return tallyOf(t, swapped), 2
		},
		"changed": func() (tally, int) {
			changed := append([]post{}, good...)
			changed[4].line = bytes.Replace(changed[4].line, []byte(`"commit":"1"`), []byte(`"commit":"3"`), 1)
			return tallyOf(t, changed), 2
		},
	} {
		got, killed := spoil()
		require.False(t, judge(logs, got, killed).ok(), name)
	}
}

func TestTheReceiverRefusesWhatItCannotCount(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	newReceiver().handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/events", bytes.NewReader([]byte("{}"))))
	require.Equal(t, http.StatusBadRequest, w.Code)
}

func TestTheHistoryIsThatOfTheRepository(t *testing.T) {
	t.Parallel()
	dir, err := checkoutDir()
	require.NoError(t, err)
	commits, err := history(t.Context(), dir)
	require.NoError(t, err)
	require.NotEmpty(t, commits)
	for _, c := range commits {
		require.Len(t, c.Hash, 40)
		require.NotEmpty(t, c.Author)
		require.NotEmpty(t, c.Date)
	}
	require.NotEmpty(t, commits[0].Files)
}
