package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"time"
)

// A logWriter appends lines to one log file, as an application would, and notes what it wrote.
type logWriter struct {
	path    string
	name    string // in the lines
	commits []commit
	file    *os.File
	written int
	digest  hash.Hash
}

func newLogWriter(path, name string, commits []commit) (*logWriter, error) {
	w := &logWriter{path: path, name: name, commits: commits, digest: sha256.New()}
	return w, w.open()
}

func (w *logWriter) open() (err error) {
	w.file, err = os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return err
}

// write appends n lines.
func (w *logWriter) write(n int) error {
	var block []byte
	for range n {
		block = append(block, line{File: w.name, Seq: w.written, commit: w.commits[w.written%len(w.commits)]}.encode()...)
		w.written++
	}
	w.digest.Write(block)
	_, err := w.file.Write(block)
	return err
}

// pace writes n lines in small blocks at about rate lines a second.
func (w *logWriter) pace(ctx context.Context, n, rate int) error {
	const block = 20
	tick := time.NewTicker(time.Second * block / time.Duration(rate))
	defer tick.Stop()
	for n > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		k := min(n, block)
		if err := w.write(k); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// rotateByRename moves the file away and begins a new one, as most log libraries do.
func (w *logWriter) rotateByRename() error {
	return errors.Join(w.file.Close(), os.Rename(w.path, w.path+".1"), w.open())
}

// rotateByTruncation copies the file and empties it, as logrotate does with copytruncate.
func (w *logWriter) rotateByTruncation() error {
	from, err := os.Open(w.path)
	if err != nil {
		return err
	}
	to, err := os.Create(w.path + ".1")
	if err != nil {
		return errors.Join(err, from.Close())
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, from.Close(), to.Close(), w.file.Truncate(0))
}
