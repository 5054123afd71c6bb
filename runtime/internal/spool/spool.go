package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/position"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// Options say where a spool is and how it works.
type Options struct {
	Dir      string    // made when missing; one process at a time
	MaxBytes int64     // of all files together; more than that is ErrFull
	NoSync   bool      // a message survives the end of the process, and that of the machine only some seconds later
	FS       seglog.FS // of the messages, the operating system's if nil
	// Salvage opens a spool of which a part cannot be read, for reading what can. Repeats are not recognised.
	Salvage bool
}

// ErrFull says that a message would take the spool beyond Options.MaxBytes.
var ErrFull = errors.New("the spool is full")

// recent is how many of the newest messages are recognised when they come again: more than any broker has unacknowledged.
const recent = 4096

// A Spool is an open spool. Append and Sync are for one goroutine, since a failed Sync takes back what was appended; the other methods
// may be called concurrently.
type Spool struct {
	options Options
	log     *seglog.Log
	marks   *position.Store

	mu       sync.Mutex
	settled  uint64              // all below are settled
	early    map[uint64]struct{} // settled ones above
	saved    uint64              // the durable value of settled
	seen     map[identity]uint64 // the recent ones, by place
	order    []identity          // of seen, as a ring by place
	ticket   seglog.Ticket       // of the newest
	appended bool                // ticket is set
	buffer   []byte

	saving sync.Mutex
}

// Open opens the spool in o.Dir, or makes it. A folder that another process uses is an error that
// names the process.
func Open(o Options) (*Spool, error) {
	s := &Spool{options: o, early: make(map[uint64]struct{}), seen: make(map[identity]uint64), order: make([]identity, recent)}
	err := makeFolder(o)
	if err != nil {
		return nil, fmt.Errorf("open spool: make the folder %s: %w", o.Dir, err)
	}
	marks, err := position.Open(o.Dir, "settled")
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s.marks = marks
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool: %w", err), marks.Close())
	}
	return s, nil
}

func (s *Spool) open() error {
	mark, err := s.marks.Load()
	if err != nil {
		return err
	}
	switch len(mark) {
	case 0: // nothing was settled yet
	case 8:
		s.settled = binary.BigEndian.Uint64(mark)
	default:
		return fmt.Errorf("%s does not say which message is the first that is not settled; restore it from a copy", s.marks.Path())
	}
	safe := s.settled
	if s.options.NoSync {
		safe = 0
	}
	s.log, err = seglog.Open(filepath.Join(s.options.Dir, "messages"), seglog.Options{
		SegmentBytes: min(max(s.options.MaxBytes/8, 64<<10), 16<<20), NoSync: s.options.NoSync, Locked: true, Safe: safe, FS: s.options.FS,
	})
	if err != nil {
		return err
	}
	if err = s.lower(); err == nil {
		err = s.recall()
	}
	if err != nil {
		return errors.Join(err, s.log.Close())
	}
	s.saved = s.settled
	return nil
}

// lower takes the mark back to the end of a log that was not synced. The machine forgot the newest messages then, and their places are
// given anew: below the old mark they would count as settled.
func (s *Spool) lower() error {
	next := s.log.Next()
	if !s.options.NoSync || s.settled <= next || s.log.Report().Closed || s.log.Size() == 0 { // a log without a file was taken away
		return nil
	}
	s.settled = next
	return s.save(next)
}

// makeFolder makes the spool's folder so that it outlives the machine.
func makeFolder(o Options) error {
	if o.FS == nil {
		o.FS = seglog.OS
	}
	var missing []string
	for dir := filepath.Clean(o.Dir); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := o.FS.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, dir)
	}
	if err := o.FS.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	for _, dir := range missing {
		if err := o.FS.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// recall learns the identities of the newest messages.
func (s *Spool) recall() error {
	next := s.log.Next()
	if s.settled < s.log.First() || s.settled > next {
		return fmt.Errorf("the spool in %s holds messages %d to %d and says that those below %d are settled; "+
			"restore the folder from a copy, or move it away to begin anew", s.options.Dir, s.log.First(), next, s.settled)
	}
	if s.options.Salvage {
		return nil
	}
	from := s.log.First()
	if next > recent {
		from = max(from, next-recent)
	}
	r := s.log.Reader(from)
	for seq := from; seq < next; seq++ {
		record, err := r.Next()
		if err != nil {
			return errors.Join(err, r.Close())
		}
		id, err := identityIn(record)
		if err != nil {
			return errors.Join(fmt.Errorf("message %d of the spool: %w", seq, err), r.Close())
		}
		s.remember(id, seq)
	}
	return r.Close()
}

func (s *Spool) remember(id identity, seq uint64) {
	place := &s.order[seq%recent]
	if s.seen[*place]+recent <= seq {
		delete(s.seen, *place)
	}
	*place = id
	s.seen[id] = seq
}

// Report is what opening found, above all a torn tail that was cut off.
func (s *Spool) Report() seglog.Report { return s.log.Report() }

// Find tells whether the spool has, or had not long ago, the very message m.
func (s *Spool) Find(m *danube.Message) (seq uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		return 0, false
	}
	seq, ok = s.seen[identify(m)]
	return seq, ok
}

// Append adds m and gives its place, which is in order of the calls. A message that Find knows is not added: its place is the old one,
// and fresh is false. It is safe once Sync returned for it.
func (s *Spool) Append(m *danube.Message) (seq uint64, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := identify(m)
	if seq, ok := s.seen[id]; ok {
		return seq, false, nil
	}
	s.buffer = appendRecord(s.buffer[:0], id, m, time.Now())
	if err := s.makeRoom(int64(len(s.buffer)) + seglog.FrameSize); err != nil {
		return 0, false, err
	}
	ticket, err := s.log.Append(s.buffer)
	if err != nil {
		return 0, false, fmt.Errorf("append to the spool: %w", err)
	}
	s.ticket, s.appended = ticket, true
	s.remember(id, ticket.Offset())
	return ticket.Offset(), true, nil
}

// Sync returns nil once everything appended so far is safe. On an error none of what was not safe before is in the spool.
func (s *Spool) Sync() error {
	s.mu.Lock()
	ticket, appended := s.ticket, s.appended
	s.mu.Unlock()
	if !appended {
		return nil
	}
	err := ticket.Wait()
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appended = false
	for id, seq := range s.seen { // places are given anew
		if seq >= s.log.Next() {
			delete(s.seen, id)
		}
	}
	return fmt.Errorf("sync the spool: %w", err)
}

// Done says that the message at seq, which was synced, is settled.
func (s *Spool) Done(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq < s.settled {
		return
	}
	s.early[seq] = struct{}{}
	for {
		if _, ok := s.early[s.settled]; !ok {
			return
		}
		delete(s.early, s.settled)
		s.settled++
	}
}

// Save makes durable which messages are settled: those below the first that is not never come again. It frees their room.
func (s *Spool) Save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	settled, saved := s.settled, s.saved
	s.mu.Unlock()
	if settled != saved {
		if err := s.save(settled); err != nil {
			return err
		}
		s.mu.Lock()
		s.saved = settled
		s.mu.Unlock()
	}
	return s.trim(settled) // also when it failed the last time
}

func (s *Spool) save(settled uint64) error {
	if err := s.marks.Save(binary.BigEndian.AppendUint64(nil, settled)); err != nil {
		return fmt.Errorf("save how far the spool is settled: %w", err)
	}
	return nil
}

// Clean tells whether every message is settled and that is durable.
func (s *Spool) Clean() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved == s.log.Next()
}

// Stats are the figures of a spool.
type Stats struct {
	Settled uint64 // the first message that is not settled
	Next    uint64 // the place of the next message
	Bytes   int64  // of the files
}

// Waiting counts the messages that are not settled, but for those settled before an older one.
func (s Stats) Waiting() uint64 { return s.Next - s.Settled }

// Stats gives the figures.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Settled: s.settled, Next: s.log.Next(), Bytes: s.log.Footprint()}
}

// Close saves and closes. What is not settled stays for the next start.
func (s *Spool) Close() error {
	return errors.Join(s.Save(), s.log.Close(), s.marks.Close())
}

// A Reader reads messages in order. Its methods must not be called concurrently.
type Reader struct {
	log  *seglog.Reader
	last danube.Message // its topic and producer
}

// Reader reads from the message at seq on.
func (s *Spool) Reader(seq uint64) *Reader { return &Reader{log: s.log.Reader(seq)} }

// Next gives the next message, which is the caller's, and when it was appended. It must have been synced.
func (r *Reader) Next() (danube.Message, time.Time, error) {
	seq := r.log.Offset()
	record, err := r.log.Next()
	if err != nil {
		return danube.Message{}, time.Time{}, err
	}
	m, at, err := decode(record, &r.last)
	if err != nil {
		return danube.Message{}, time.Time{}, fmt.Errorf("message %d of the spool: %w", seq, err)
	}
	r.last.Topic, r.last.Producer = m.Topic, m.Producer
	return m, at, nil
}

// Close frees what the reader has open.
func (r *Reader) Close() error { return r.log.Close() }
