package danubetest

import "github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"

// Files lets a test be the file system of the data directory's logs.
func Files(fs seglog.FS) Option {
	return func(s *settings) error {
		s.files = fs
		return nil
	}
}
