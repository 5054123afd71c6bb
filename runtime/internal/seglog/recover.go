package seglog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A Report is what [Open] found.
type Report struct {
	Closed bool   // the log is new, or was closed by Close: nothing can be missing
	Next   uint64 // offset of the next record
	Cut    int64  // bytes of a torn tail that were cut off
	File   string // the file that was cut
	At     int64  // where it was cut
	Reason string // what was wrong there
}

// String says it in a sentence.
func (r Report) String() string {
	switch {
	case r.Closed:
		return fmt.Sprintf("log was closed and ends before record %d", r.Next)
	case r.Cut == 0:
		return fmt.Sprintf("log was not closed; it is whole and ends before record %d", r.Next)
	}
	return fmt.Sprintf("log was not closed; %d bytes of a torn tail were cut off %s at byte %d, where record %d %s",
		r.Cut, r.File, r.At, r.Next, r.Reason)
}

// recover reads what is there and cuts a torn tail off. It changes nothing before it knows that there is no damage.
func (l *Log) recover() error {
	files, err := l.list()
	if err != nil {
		return err
	}
	mark, err := l.closedMark()
	if err != nil {
		return err
	}
	files, unborn := l.splitUnborn(files, mark)
	if err := l.chain(files); err != nil {
		return err
	}
	if len(l.segments) == 0 && l.marked {
		return &DamageError{File: l.path(segmentName(0)), Reason: "the segment files of a log that was closed are missing"}
	}
	l.report.Closed = unborn == nil && (l.marked || len(l.segments) == 0)
	if len(l.segments) > 0 {
		if err := l.recoverLast(mark, unborn != nil); err != nil {
			return err
		}
	} else if l.opts.Safe > 0 {
		return &DamageError{File: l.path(segmentName(0)), Reason: fmt.Sprintf("the file is missing, and %d records were safe", l.opts.Safe)}
	}
	if unborn != nil {
		if err := l.removeUnborn(unborn); err != nil {
			return err
		}
	}
	l.synced, l.written, l.report.Next = l.next, l.next, l.next
	return nil
}

// found is a segment file as it lies there.
type found struct {
	path   string
	base   uint64 // by its name
	size   int64
	header header
	whole  bool // the header can be read
}

// list reads the headers of all segment files.
func (l *Log) list() ([]found, error) {
	entries, err := l.opts.FS.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	var files []found
	for _, e := range entries {
		base, ok := segmentBase(e.Name())
		if !ok {
			continue
		}
		f, err := l.look(e.Name(), base)
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		files = append(files, f)
	}
	return files, nil
}

func (l *Log) look(name string, base uint64) (found, error) {
	path := l.path(name)
	f, err := l.opts.FS.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return found{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return found{}, err
	}
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return found{}, err
	}
	h, ok := decodeHeader(b)
	return found{path: path, base: base, size: info.Size(), header: h, whole: ok && h.base == base}, nil
}

// closedMark reads where the log ends if it was closed. A mark that cannot be read counts as none.
func (l *Log) closedMark() (closedMark, error) {
	f, err := l.opts.FS.OpenFile(l.path(closedName), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return closedMark{}, nil
	}
	if err != nil {
		return closedMark{}, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	b := make([]byte, closedSize+1)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return closedMark{}, fmt.Errorf("open log: %w", err)
	}
	m, ok := decodeClosedMark(b[:n])
	l.marked = ok
	return m, nil
}

// splitUnborn finds the last segment file if the process ended while it was made. It cannot hold a record: those are written after
// the header is safe.
func (l *Log) splitUnborn(files []found, mark closedMark) (born []found, unborn *found) {
	if len(files) == 0 {
		return files, nil
	}
	last := files[len(files)-1]
	if last.whole || last.size > headerSize || (l.marked && mark.next >= last.base) || (len(files) == 1 && last.base > 0) {
		return files, nil
	}
	return files[:len(files)-1], &last
}

func (l *Log) removeUnborn(f *found) error {
	if err := errors.Join(l.opts.FS.Remove(f.path), l.opts.FS.SyncDir(l.dir)); err != nil {
		return fmt.Errorf("open log: remove a segment file that was never finished: %w", err)
	}
	l.report = Report{Cut: f.size, File: f.path, Reason: "has no whole file header before it"}
	return nil
}

// chain checks that the segments follow each other without a gap and that all but the last have the size they ended with.
func (l *Log) chain(files []found) error {
	for i, f := range files {
		damage := &DamageError{File: f.path, Offset: f.base}
		switch {
		case !f.whole:
			damage.Reason = "the header of the file is damaged"
			return damage
		case i > 0 && f.header.prevBase != files[i-1].base:
			damage.File, damage.Offset = l.path(segmentName(f.header.prevBase)), f.header.prevBase
			damage.Reason = "the file is missing"
			return damage
		case i > 0 && f.header.prevSize != files[i-1].size:
			damage.File, damage.Offset, damage.At = files[i-1].path, files[i-1].base, min(files[i-1].size, f.header.prevSize)
			damage.Reason = fmt.Sprintf("the file has %d bytes and had %d when it was full", files[i-1].size, f.header.prevSize)
			return damage
		}
		l.segments = append(l.segments, &segment{path: f.path, base: f.base, created: f.header.created, size: f.size})
	}
	return nil
}

// recoverLast reads the last segment to its end, and cuts off what is torn. A full segment cannot have a torn tail.
func (l *Log) recoverLast(mark closedMark, full bool) error {
	s := l.segments[len(l.segments)-1]
	damage, err := l.scan(s)
	if err != nil {
		return fmt.Errorf("open log: read %s: %w", filepath.Base(s.path), err)
	}
	if l.marked && damage == nil && (l.next != mark.next || s.size != mark.size) {
		damage = &DamageError{File: s.path, At: s.size, Offset: l.next, Reason: fmt.Sprintf(
			"the log was closed with %d records and %d bytes in this file, which has %d", mark.next, mark.size, s.size)}
	}
	if damage == nil && l.next < l.opts.Safe {
		damage = &DamageError{File: s.path, At: s.size, Offset: l.next, Reason: fmt.Sprintf("the file ends, and %d records were safe", l.opts.Safe)}
	}
	if damage != nil {
		proof, err := l.wasSynced(s, damage)
		switch {
		case err != nil:
			return fmt.Errorf("open log: read %s: %w", filepath.Base(s.path), err)
		case proof || l.marked || full || damage.Offset < l.opts.Safe:
			return damage
		}
	}
	if l.marked {
		return nil
	}
	return l.settle(s, damage)
}

// scan reads s from the beginning and sets l.next and the segment's marks. The damage is where it cannot go on.
func (l *Log) scan(s *segment) (damage *DamageError, err error) {
	f, err := l.opts.FS.OpenFile(s.path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	l.next = s.base
	r := &Reader{log: l, seg: s, file: f, at: headerSize, limit: s.size, next: s.base}
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.at < s.size {
		at := r.at
		switch _, err := r.step(); {
		case errors.As(err, &damage):
			return damage, nil
		case err != nil:
			return nil, err
		}
		s.note(place{offset: r.next - 1, at: at})
		l.next = r.next
	}
	return nil, nil
}

// wasSynced says whether the record at which damage lies was synced: then a later one says so.
func (l *Log) wasSynced(s *segment, damage *DamageError) (bool, error) {
	f, err := l.opts.FS.OpenFile(s.path, os.O_RDONLY, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	rest := make([]byte, s.size-damage.At)
	if _, err := f.ReadAt(rest, damage.At); err != nil {
		return false, err
	}
	most := damage.Offset + uint64(len(rest)/frameSize)
	for at := 1; at+frameSize <= len(rest); at++ {
		b := rest[at:]
		f := decodeFrame(b)
		if f.offset > damage.Offset && f.offset <= most && int64(f.size) <= int64(len(b)-frameSize) && f.synced() > damage.Offset && f.matches(b) {
			return true, nil
		}
	}
	return false, nil
}

// settle makes s safe as it is after a crash: what was written and not synced may be read from now on, and must not vanish later.
// It ends s where the damage is, if there is some.
func (l *Log) settle(s *segment, damage *DamageError) error {
	f, err := l.opts.FS.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if damage != nil {
		if err := f.Truncate(damage.At); err != nil {
			return errors.Join(fmt.Errorf("open log: cut a torn tail off %s: %w", filepath.Base(s.path), err), f.Close())
		}
		l.report = Report{Cut: s.size - damage.At, File: s.path, At: damage.At, Reason: "is torn: " + damage.Reason}
		s.size = damage.At
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	return nil
}
