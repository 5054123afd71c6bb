package connect

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Health gathers what the parts of a running connector say of themselves. The zero value is ready to use; its methods may be called
// concurrently.
type Health struct {
	mu     sync.Mutex
	checks []check
	fatal  error
}

type check struct {
	part string
	ask  func(context.Context) error
}

// Watch adds a part that Ready asks: nil means that it works.
func (h *Health) Watch(part string, ask func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, check{part, ask})
}

// Ready is nil when every part works, else it names each that does not and why.
func (h *Health) Ready(ctx context.Context) error {
	h.mu.Lock()
	checks, fatal := h.checks, h.fatal
	h.mu.Unlock()
	if fatal != nil {
		return fatal
	}
	if len(checks) == 0 {
		return errors.New("starting")
	}
	var errs []error
	for _, c := range checks {
		if err := c.ask(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.part, err))
		}
	}
	return errors.Join(errs...)
}

// Live is nil unless the connector has failed for good; waiting for a broker or a target is no failure.
func (h *Health) Live() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fatal
}

func (h *Health) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fatal = err
}
