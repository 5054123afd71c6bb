package connect

import (
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

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

// openSpool opens the spool of r, nil without one.
func (s *SinkSettings) openSpool(r SinkRoute, log *zap.Logger) (*spool.Spool, error) {
	if s.Spool.Mode == SpoolOff {
		return nil, nil
	}
	dir := filepath.Join(s.Spool.Dir, s.Name, topicToken(r.From)[1:]+"."+r.Subscription)
	store, err := spool.Open(spool.Options{Dir: dir, MaxBytes: s.Spool.MaxBytes, NoSync: s.Spool.NoSync})
	if err != nil {
		return nil, fmt.Errorf(`%w (folder spool.dir; spool.mode = "off" does without)`, err)
	}
	if report := store.Report(); report.Cut > 0 {
		log.Warn("the end of the spool was torn and is cut off; nothing in it was acknowledged to the broker", zap.String("file", report.File),
			zap.Int64("at", report.At), zap.Int64("bytes", report.Cut), zap.String("reason", report.Reason))
	}
	if n := store.Stats().Waiting(); n > 0 {
		log.Info("messages wait in the spool and are written first", zap.Uint64("messages", n), zap.String("dir", dir))
	}
	return store, nil
}
