package danubetest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// states keeps the newest value of each of many keys in a log. It is written anew when most of the log is out of date, so that
// opening takes time by the number of keys and not by their history. Its methods must not be called concurrently.
type states struct {
	log  *seglog.Log
	live map[string]string
	size int64 // bytes of live
}

// A stateChange is a new value; an empty one removes the key.
type stateChange struct{ key, value string }

const (
	stateSegment = 1 << 20
	// stateSlack is how large the log may be beyond twice what it must hold before it is written anew.
	stateSlack = 2 * stateSegment
)

func openStates(dir string, files seglog.FS) (*states, error) {
	log, err := seglog.Open(dir, seglog.Options{SegmentBytes: stateSegment, Locked: true, FS: files})
	if err != nil {
		return nil, err
	}
	s := &states{log: log, live: make(map[string]string)}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return s, nil
}

func (s *states) load() (err error) {
	r := s.log.Reader(s.log.First())
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.Offset() < s.log.Next() {
		record, err := r.Next()
		if err != nil {
			return err
		}
		n, used := binary.Uvarint(record)
		if used <= 0 || n > uint64(len(record)-used) {
			return fmt.Errorf("record %d of the broker's state cannot be understood; it was written by another version", r.Offset()-1)
		}
		rest := record[used:]
		s.set(stateChange{key: string(rest[:n]), value: string(rest[n:])})
	}
	return nil
}

func (s *states) set(c stateChange) {
	if old, ok := s.live[c.key]; ok {
		s.size -= int64(len(c.key) + len(old))
		delete(s.live, c.key)
	}
	if c.value != "" {
		s.live[c.key] = c.value
		s.size += int64(len(c.key) + len(c.value))
	}
}

// save makes changes durable, all with one sync. After an error none of them counts, and they may be saved again.
func (s *states) save(changes []stateChange) error {
	var news []stateChange
	for _, c := range changes {
		if s.live[c.key] != c.value || len(news) > 0 { // a later change of a key must follow an earlier one
			news = append(news, c)
		}
	}
	if err := s.write(news); err != nil {
		return err
	}
	for _, c := range news {
		s.set(c)
	}
	return s.compact()
}

func (s *states) write(changes []stateChange) error {
	var last seglog.Ticket
	var buf []byte
	for _, c := range changes {
		buf = binary.AppendUvarint(buf[:0], uint64(len(c.key)))
		buf = append(append(buf, c.key...), c.value...)
		var err error
		if last, err = s.log.Append(buf); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return last.Wait()
}

// compact writes all anew and forgets what was before, if that is worth it.
func (s *states) compact() error {
	if s.log.Size() < 2*s.size+stateSlack {
		return nil
	}
	from := s.log.Next()
	all := make([]stateChange, 0, len(s.live))
	for key, value := range s.live {
		all = append(all, stateChange{key, value})
	}
	if err := s.write(all); err != nil {
		return err
	}
	return s.log.Trim(from, seglog.Keep{})
}

func (s *states) close() error { return s.log.Close() }
