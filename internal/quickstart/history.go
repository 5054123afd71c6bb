package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// A commit is one entry of the history that is the input.
type commit struct {
	Hash    string   `json:"commit"`
	Author  string   `json:"author"`
	Date    string   `json:"date"`
	Subject string   `json:"subject"`
	Files   []string `json:"files"`
}

// A line is a commit as it is written to a log file: its place there makes each line the only one of its kind.
type line struct {
	File    string `json:"file"`
	Seq     int    `json:"seq"`
	Written int64  `json:"written_ns"`
	commit
}

func (l line) encode() []byte {
	l.Written = time.Now().UnixNano()
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return append(b, '\n')
}

// history reads the repository's whole history, oldest first.
func history(ctx context.Context, dir string) ([]commit, error) {
	const record, field = "\x1e", "\x1f"
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "log", "--reverse", "--name-only",
		"--format="+record+strings.Join([]string{"%H", "%an", "%aI", "%s", ""}, field))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read the history with git: %w", err)
	}
	var commits []commit
	for _, entry := range strings.Split(string(out), record)[1:] {
		f := strings.Split(entry, field)
		if len(f) != 5 {
			return nil, fmt.Errorf("git log gave an entry of %d fields", len(f))
		}
		commits = append(commits, commit{Hash: f[0], Author: f[1], Date: f[2], Subject: f[3], Files: strings.Fields(f[4])})
	}
	if len(commits) == 0 {
		return nil, fmt.Errorf("%s has no history", dir)
	}
	return commits, nil
}
