package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// maxRead bounds what is read at once, and with it the longest line.
const maxRead = 1 << 20

// source reads a file line by line. Put a client of your system in the place of the file.
type source struct {
	config config
	file   *os.File
	offset int64 // of the first byte not yet returned
}

// open connects to the external system and goes to the position after the last record that is safe in Danube, nil at the first
// start. An error is tried again later; mark one that no retry mends with connect.Fatal.
func open(_ context.Context, c config, from connect.Position) (connect.Source, error) {
	s := &source{config: c}
	if from != nil {
		var err error
		if s.offset, err = strconv.ParseInt(string(from), 10, 64); err != nil {
			return nil, connect.Fatal(fmt.Errorf("position %q is not of this source: %w", from, err))
		}
	}
	var err error
	s.file, err = os.Open(c.Path)
	return s, err
}

// Read waits until at least one whole line is there. Each record carries an event id made of its place alone, so that a line that is
// read again after a crash is recognised as the same.
func (s *source) Read(ctx context.Context) (connect.Batch, error) {
	for {
		batch, err := s.lines()
		if err != nil || len(batch.Records) > 0 {
			return batch, err
		}
		select {
		case <-time.After(s.config.PollInterval):
		case <-ctx.Done():
			return connect.Batch{}, ctx.Err()
		}
	}
}

// Commit is called once the records up to position are safe; a system that wants to be told, such as a queue, is told here.
func (s *source) Commit(context.Context, connect.Position) error { return nil }

// Close is called once, after the last Read and Commit.
func (s *source) Close() error { return s.file.Close() }

// lines returns the whole lines that follow, none when there are none yet.
func (s *source) lines() (connect.Batch, error) {
	block := make([]byte, maxRead)
	n, err := s.file.ReadAt(block, s.offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return connect.Batch{}, fmt.Errorf("read %s at byte %d: %w", s.config.Path, s.offset, err)
	}
	end := bytes.LastIndexByte(block[:n], '\n') + 1
	if end == 0 {
		if n == maxRead {
			return connect.Batch{}, connect.Fatal(fmt.Errorf("%s has a line of more than %d bytes at byte %d; shorten it, or raise maxRead", s.config.Path, maxRead, s.offset))
		}
		return connect.Batch{}, nil // the last line is not finished
	}
	var batch connect.Batch
	for line := range bytes.Lines(block[:end]) {
		id := s.config.Path + ":" + strconv.FormatInt(s.offset, 10)
		batch.Records = append(batch.Records, connect.Record{
			Value:      bytes.TrimSuffix(line, []byte("\n")),
			Attributes: map[string]string{connect.EventIDAttribute: id},
		})
		s.offset += int64(len(line))
	}
	batch.Position = strconv.AppendInt(nil, s.offset, 10)
	return batch, nil
}
