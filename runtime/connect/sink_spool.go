package connect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// SpoolSettings say how messages wait on the local disk for a target that is away or slow. A message there is acknowledged, so the broker
// sends more; without a spool a broker that is kept waiting drops what exceeds its window and 256 messages.
type SpoolSettings struct {
	Mode     string // SpoolAuto, SpoolAlways or SpoolOff; SpoolOff
	Dir      string // folder of this connector's spools; it must outlive the process; required unless Mode is SpoolOff
	MaxBytes int64  // most that one route's spool takes; 10 GiB
	// NoSync leaves it to the operating system when to write: messages survive the end of the process, and not that of the machine.
	NoSync bool
	// StopWhenFull ends the connector when a spool is full. Otherwise messages wait at the broker until there is room.
	StopWhenFull bool
}

// Modes of a spool.
const (
	SpoolOff    = "off"    // messages stay unacknowledged until they are written
	SpoolAuto   = "auto"   // they are spooled when the broker might have to wait for them
	SpoolAlways = "always" // they are spooled at once, so batches may be as large as batch_size whatever the broker's window
)

// dir is the folder of the spool of r; empty when there is none.
func (s *SinkSettings) spoolDir(r SinkRoute) string {
	if s.Spool.Dir == "" {
		return ""
	}
	return filepath.Join(s.Spool.Dir, s.Name, topicToken(r.From)[1:]+"."+r.Subscription)
}

func (s *SinkSettings) spoolOptions(dir string) spool.Options {
	return spool.Options{Dir: dir, MaxBytes: s.Spool.MaxBytes, NoSync: s.Spool.NoSync}
}

// openSpool opens the spool of r, nil without one. Messages that wait there must not be forgotten because somebody switched it off.
func (s *SinkSettings) openSpool(r SinkRoute, log *zap.Logger) (*spool.Spool, error) {
	dir := s.spoolDir(r)
	if _, err := os.Stat(dir); s.Spool.Mode == SpoolOff && err != nil {
		return nil, nil
	}
	store, err := spool.Open(s.spoolOptions(dir))
	if err != nil {
		return nil, fmt.Errorf(`%w (folder spool.dir; spool.mode = "off" does without)`, err)
	}
	n := store.Stats().Waiting()
	if s.Spool.Mode == SpoolOff {
		if n > 0 {
			err = fmt.Errorf(`spool.mode is off, and %d messages wait in %s; write them to the target with the command "spool drain", `+
				"or move the folder away to give them up", n, dir)
		}
		return nil, errors.Join(err, store.Close())
	}
	if report := store.Report(); report.Cut > 0 {
		log.Warn("the end of the spool was torn and is cut off; nothing in it was acknowledged to the broker", zap.String("file", report.File),
			zap.Int64("at", report.At), zap.Int64("bytes", report.Cut), zap.String("reason", report.Reason))
	}
	if n > 0 {
		log.Info("messages wait in the spool and are written first", zap.Uint64("messages", n), zap.String("dir", dir))
	}
	return store, nil
}

// drainSpools writes what waits in the spools and ends; nothing new is read.
func drainSpools(ctx context.Context, s SinkSettings, open func(context.Context) (Sink, error)) error {
	if s.Spool.Mode == SpoolOff {
		s.Spool.Mode = SpoolAuto
	}
	if err := s.prepare(); err != nil {
		return err
	}
	client, err := s.client() // for dead letters
	if err != nil {
		return err
	}
	defer client.Close()
	for _, r := range s.Routes {
		if err := drainSpool(ctx, &s, r, client, open); err != nil {
			return fmt.Errorf("drain the spool of %s: %w", r.From, err)
		}
	}
	return nil
}

func drainSpool(ctx context.Context, s *SinkSettings, r SinkRoute, client *danube.Client, open func(context.Context) (Sink, error)) error {
	p, err := newSinkPipeline(s, r, client, open)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		tick := time.NewTicker(saveEvery)
		defer tick.Stop()
		for !p.custody.isClean() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		cancel(errDrained)
	}()
	err = errors.Join(p.work(ctx), p.close())
	if err == nil && !errors.Is(context.Cause(ctx), errDrained) {
		err = context.Cause(ctx)
	}
	return err
}

var errDrained = errors.New("the spool is drained")
