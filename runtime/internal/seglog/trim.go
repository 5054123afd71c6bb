package seglog

import (
	"fmt"
	"time"
)

// Keep says what stays of the records that nobody needs any more. The zero value keeps nothing.
type Keep struct {
	Bytes int64         // while the log is not larger; 0 sets no such bound if Age is set
	Age   time.Duration // while they are not older; 0 sets no such bound if Bytes is set
}

// wants says whether a segment that nobody needs stays.
func (k Keep) wants(logSize int64, age time.Duration) bool {
	if k.Bytes <= 0 && k.Age <= 0 {
		return false
	}
	return (k.Bytes <= 0 || logSize <= k.Bytes) && (k.Age <= 0 || age <= k.Age)
}

// Trim removes segments from the front that hold only records below offset, except what keep wants. The segment that is written to
// always stays, so a log never forgets its next offset. A Reader that stands in a removed segment gets [ErrOutOfRange].
func (l *Log) Trim(offset uint64, keep Keep) error {
	l.commit.Lock()
	defer l.commit.Unlock()
	for {
		s, err := l.outdated(offset, keep)
		if s == nil || err != nil {
			return err
		}
		// The folder is synced each time: segments must go in order, else a crash could leave a gap.
		if err := l.opts.FS.Remove(s.path); err != nil {
			return fmt.Errorf("trim log: %w", err)
		}
		l.mu.Lock()
		l.segments = l.segments[1:]
		l.mu.Unlock()
		if err := l.opts.FS.SyncDir(l.dir); err != nil {
			return fmt.Errorf("trim log: %w", err)
		}
	}
}

// outdated returns the first segment if it may be removed.
func (l *Log) outdated(offset uint64, keep Keep) (*segment, error) {
	size := l.Size()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if len(l.segments) < 2 || l.segments[1].base > offset {
		return nil, nil
	}
	if keep.wants(size, time.Since(l.segments[1].created)) {
		return nil, nil
	}
	return l.segments[0], nil
}
