package danubetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// DataDir makes the broker durable: topics, the messages of reliable topics, namespaces, the schema registry with the schemas that
// administrators gave to topics, and the positions, types and policies of subscriptions are kept in the folder dir, which is made if need be. A broker that is made with the same folder goes on with them,
// whether the one before was closed or killed.
//
// A publish to a reliable topic is answered once its message is on disk; many that wait share one sync. Acknowledgements are
// written a moment later: after a crash, though not after [Broker.Close], messages whose acknowledgement was among the last ones
// come again. Memory bounds what is kept in memory beside the disk, so the backlog is as large as the disk allows.
//
// The folder is locked while the broker lives. [New] fails when it is in use, damaged or not writable, and changes nothing then.
func DataDir(dir string) Option {
	return func(s *settings) error {
		if dir == "" {
			return errors.New("data directory has no name")
		}
		s.dataDir = dir
		return nil
	}
}

// ErrDataDir is what [New] returns when the folder of [DataDir] is in use, damaged or not writable; the text says which and what to
// do.
var ErrDataDir = errors.New("data directory cannot be used")

// dataDirError is an ErrDataDir with the text of its cause.
type dataDirError struct{ cause error }

func (e dataDirError) Error() string   { return e.cause.Error() }
func (e dataDirError) Unwrap() []error { return []error{ErrDataDir, e.cause} }

// Retention keeps messages in the data directory that every subscription has passed: while the messages of their topic take no more
// than maxBytes, and while they are not older than maxAge. A bound of 0 is none; without this option, and when both are 0, they
// are removed. What a subscription has not passed is never removed. Messages go in files of about 16 MiB, so some stay longer.
func Retention(maxBytes int64, maxAge time.Duration) Option {
	return func(s *settings) error {
		if maxBytes < 0 || maxAge < 0 {
			return fmt.Errorf("retention of %d bytes and %v is negative", maxBytes, maxAge)
		}
		s.keep = seglog.Keep{Bytes: maxBytes, Age: maxAge}
		return nil
	}
}

// changesState says whether a call may change what the data directory holds of topics, subscriptions and schemas. Messages have
// their own way to the disk, and positions may be written later.
func changesState(method string) bool {
	for _, verb := range []string{"Create", "Delete", "Subscribe", "Unsubscribe", "Set", "Configure", "Update", "Register"} {
		if strings.HasPrefix(method, verb) {
			return true
		}
	}
	return false
}

// remember makes what a call has changed durable before it is answered.
func (b *Broker) remember() error {
	if err := b.disk.flush(); err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	return nil
}
