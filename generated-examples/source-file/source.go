package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// source follows files. Everything but trouble belongs to the one goroutine that calls Read.
type source struct {
	cfg   config
	paths patterns
	lines splitter
	watch *watcher
	batch *batch // that Read fills

	contents  []*content // those of one path in the order in which they were written
	forgotten []lastGen
	trouble   *troubles
	beginning bool      // no position was stored and no scan was done: the option start applies
	nextScan  time.Time // when the files are looked for again at the latest
	turn      int       // which content is read next
}

func open(_ context.Context, cfg config, from connect.Position) (connect.Source, error) {
	s, err := newSource(cfg, from)
	if err != nil {
		return nil, connect.Fatal(err)
	}
	if cfg.Follow {
		s.watch.start(s.paths.directories(nil))
	}
	return s, nil
}

// newSource makes a source that finds changes by looking for them.
func newSource(cfg config, from connect.Position) (*source, error) {
	s := &source{
		cfg:       cfg,
		paths:     patterns{include: cfg.Paths, exclude: cfg.Exclude},
		lines:     splitter{max: cfg.MaxLineBytes, keepCR: cfg.KeepCR},
		watch:     newWatcher(),
		batch:     &batch{maxLines: cfg.BatchLines, maxBytes: cfg.BatchBytes, skipEmpty: cfg.SkipEmpty},
		trouble:   newTroubles(cfg.RotateWait),
		beginning: from == nil,
	}
	if from != nil {
		if err := s.restore(from); err != nil {
			return nil, err
		}
	}
	_, problems := s.paths.expand()
	for _, p := range problems {
		if p.hopeless || p.severe && p.waiting && !cfg.Follow {
			return nil, errors.New(p.text)
		}
	}
	return s, nil
}

// Read returns the next lines, those of one file in order and files in turn. What is wrong with a file, or was lost, it returns as an
// error once, and goes on with the other files when it is called again.
func (s *source) Read(ctx context.Context) (connect.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return connect.Batch{}, err
		}
		now := time.Now()
		s.refresh(now)
		if err := s.trouble.news(); err != nil {
			return connect.Batch{}, err
		}
		s.gather(s.batch, now)
		switch {
		case len(s.batch.pieces) > 0:
			return connect.Batch{Records: s.batch.take(s.cfg.Key), Position: s.position()}, nil
		case s.scanDue(now):
		case !s.cfg.Follow && s.finished():
			return connect.Batch{}, io.EOF
		default:
			s.watch.wait(ctx, s.wakeAt(now))
		}
	}
}

// Commit has nothing to do: the position is all that the source keeps, and the files belong to those who write them.
func (s *source) Commit(context.Context, connect.Position) error { return nil }

// Ping tells which of the files that the configuration names cannot be read.
func (s *source) Ping(context.Context) error { return s.trouble.now() }

// Close closes all files.
func (s *source) Close() error {
	for _, c := range s.contents {
		c.close()
	}
	return s.watch.close()
}

// refresh learns what changed since the last call.
func (s *source) refresh(now time.Time) {
	dirty, tree := s.watch.changes()
	if tree || s.scanDue(now) {
		s.nextScan = now.Add(s.cfg.PollInterval)
		s.scan(now)
	}
	for _, c := range s.contents {
		// The new name of a renamed file may be unknown, so it is looked at each time.
		c.ready = c.ready || dirty[c.at] || !c.ending.IsZero() && (!c.empty || now.Before(c.ending))
	}
}

func (s *source) scanDue(now time.Time) bool { return !now.Before(s.nextScan) }

// wakeAt is when Read must look again although nothing changed: at the next scan, or when a last line is due.
func (s *source) wakeAt(now time.Time) time.Time {
	at := s.nextScan
	for _, c := range s.contents {
		if !c.empty && c.ending.After(now) && c.ending.Before(at) {
			at = c.ending
		}
	}
	return at
}

func (s *source) finished() bool {
	for _, c := range s.contents {
		if !c.empty && c.copyOf == nil {
			return false
		}
	}
	return s.trouble.now() == nil
}
