package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// sink appends records to a file. Put a client of your system in the place of the file.
type sink struct {
	file *os.File
	size int64 // of the whole lines; a write that failed is undone up to here
}

// open connects to the external system. An error is tried again later; mark one that no retry mends, such as a wrong password, with
// connect.Fatal.
func open(_ context.Context, c config) (connect.Sink, error) {
	file, err := os.OpenFile(c.Path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	s := &sink{file: file}
	if err := s.repair(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

// Write makes the batch durable before it returns nil: what it returns nil for never comes again. A record that can never be written
// is marked with connect.Reject and goes to the dead letters alone.
func (s *sink) Write(_ context.Context, batch []connect.Record) error {
	var bad connect.BatchError
	var lines bytes.Buffer
	for i, r := range batch {
		before := lines.Len()
		if err := json.Compact(&lines, r.Value); err != nil {
			lines.Truncate(before)
			bad.Add(i, connect.Reject(fmt.Errorf("value is not JSON: %w", err)))
			continue
		}
		lines.WriteByte('\n')
	}
	if err := s.append(lines.Bytes()); err != nil {
		return classify(err)
	}
	return bad.Err()
}

// Close is called once, after the last Write.
func (s *sink) Close() error { return s.file.Close() }

// classify says what the runtime does about an error of your system: nothing marked means try again later.
func classify(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return connect.Fatal(err)
	}
	return err
}

// append writes whole lines or none.
func (s *sink) append(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := s.file.WriteAt(lines, s.size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("append to %s: %w", s.file.Name(), err), s.file.Truncate(s.size))
	}
	s.size += int64(len(lines))
	return nil
}

// repair cuts off a last line that a crash left torn; its record was not acknowledged and comes again.
func (s *sink) repair() error {
	const step = 64 << 10
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	for end := info.Size(); end > 0; end -= min(end, step) {
		block := make([]byte, min(end, step))
		if _, err := s.file.ReadAt(block, end-int64(len(block))); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the end of %s: %w", s.file.Name(), err)
		}
		if i := bytes.LastIndexByte(block, '\n'); i >= 0 {
			s.size = end - int64(len(block)) + int64(i) + 1
			break
		}
	}
	return s.file.Truncate(s.size)
}
