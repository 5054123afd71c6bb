package danubetest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// An Option changes a setting of [New] or [Start].
type Option func(*settings) error

// Bounds of what clients can ask for.
const (
	maxWindow     = 10_000
	maxPartitions = 10_000
)

// settings are the values that options set.
type settings struct {
	window     int
	policy     FailurePolicy
	memory     int64
	history    int
	advertised string
	logger     *slog.Logger
	traps      traps
	seed       uint64
	overlaps   int   // publishes that a resumed reader survives under the trap overlap-kill; 0 for a random number
	gate       *gate // nil: everybody may do everything, in plain text
	dataDir    string
	keep       seglog.Keep
	disk       int64     // 0: as much as there is
	files      seglog.FS // nil: the operating system's
}

func defaults() settings {
	return settings{
		window:  10,
		policy:  DefaultFailurePolicy(),
		memory:  1 << 30,
		history: 1000,
		seed:    1,
		logger:  slog.New(slog.DiscardHandler),
	}
}

// Window sets how many messages of one subscription may be unacknowledged at once: 1 to 10000, default 10. A value set for one
// subscription by the admin call SetSubscriptionDispatchConfig goes before it.
func Window(n int) Option {
	return func(s *settings) error {
		if n < 1 || n > maxWindow {
			return fmt.Errorf("window %d is not within 1 to %d", n, maxWindow)
		}
		s.window = n
		return nil
	}
}

// Policy sets what happens to messages that are not acknowledged, for subscriptions without a policy of their own. The default is
// [DefaultFailurePolicy].
func Policy(p FailurePolicy) Option {
	return func(s *settings) error {
		if err := p.validate(); err != nil {
			return fmt.Errorf("failure policy: %w", err)
		}
		s.policy = p
		return nil
	}
}

// Memory sets how many bytes the messages of all topics together may take, default 1 GiB. Beyond it publishes are answered with
// RESOURCE_EXHAUSTED until subscriptions acknowledge.
func Memory(maxBytes int64) Option {
	return func(s *settings) error {
		if maxBytes < 1 {
			return fmt.Errorf("memory of %d bytes is not positive", maxBytes)
		}
		s.memory = maxBytes
		return nil
	}
}

// History sets how many messages of a topic stay readable by [Broker.Messages] after every subscription has passed them: default
// 1000, in [Start] 100000. History gives way when the memory is needed for unread messages.
func History(n int) Option {
	return func(s *settings) error {
		if n < 0 {
			return fmt.Errorf("history of %d messages is negative", n)
		}
		s.history = n
		return nil
	}
}

// AdvertisedURL sets the URL that lookups answer with, such as "http://broker:6650". By default it is the address of the client
// listener, or what the client dialled if the listener has no single address.
func AdvertisedURL(u string) Option {
	return func(s *settings) error {
		parsed, err := url.Parse(u)
		if err != nil {
			return fmt.Errorf("advertised URL: %w", err)
		}
		if parsed.Scheme == "" || parsed.Host == "" {
			return fmt.Errorf("advertised URL %q has no scheme or no host; write it like http://broker:6650", u)
		}
		s.advertised = u
		return nil
	}
}

// Logger receives what the broker does. By default nothing is logged.
func Logger(l *slog.Logger) Option {
	return func(s *settings) error {
		if l == nil {
			return errors.New("logger is nil")
		}
		s.logger = l
		return nil
	}
}
