package spool

import (
	"fmt"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// makeRoom sees to it that n bytes fit. What was only kept to be recognised goes when they do not.
func (s *Spool) makeRoom(n int64) error {
	if s.log.Footprint()+n <= s.options.MaxBytes {
		return nil
	}
	if err := s.free(s.saved); err != nil {
		return err
	}
	if used := s.log.Footprint(); used+n > s.options.MaxBytes {
		return fmt.Errorf("%w: %d of %d bytes are used in %s, and the message takes %d", ErrFull, used, s.options.MaxBytes, s.options.Dir, n)
	}
	return nil
}

// trim removes what is settled but for the messages that have to be recognised; when room runs short, these too.
func (s *Spool) trim(settled uint64) error {
	keep := s.log.Next()
	if keep -= min(keep, recent); keep > settled {
		keep = settled
	}
	if err := s.log.Trim(keep, seglog.Keep{}); err != nil {
		return fmt.Errorf("free room in the spool: %w", err)
	}
	if s.log.Footprint() > s.options.MaxBytes/2 {
		return s.free(settled)
	}
	return nil
}

// free removes what is settled. That takes a new file when all is: the one that is written to always stays, and what was appended at
// once may have filled the whole spool with it.
func (s *Spool) free(settled uint64) (err error) {
	if settled == s.log.Next() {
		err = s.log.Roll()
	}
	if err == nil {
		err = s.log.Trim(settled, seglog.Keep{})
	}
	if err != nil {
		return fmt.Errorf("free room in the spool: %w", err)
	}
	return nil
}
