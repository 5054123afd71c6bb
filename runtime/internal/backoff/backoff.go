// Package backoff says how long to wait before something that failed is tried again.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Policy is exponential backoff with jitter.
type Policy struct {
	Base time.Duration // the first wait before jitter, > 0
	Max  time.Duration // the longest wait, >= Base
}

// Delay is the wait before retry n, counted from 1: min(Base*2^(n-1), Max) times a random 0.5 to 1.5, at most Max.
func (p Policy) Delay(n int) time.Duration {
	raw := p.Max
	if shift := max(n, 1) - 1; shift < 62 && p.Base <= p.Max>>shift {
		raw = p.Base << shift
	}
	return min(time.Duration(float64(raw)*(0.5+rand.Float64())), p.Max)
}

// Wait sleeps for Delay(n), or until ctx is done and returns its error.
func (p Policy) Wait(ctx context.Context, n int) error { return Sleep(ctx, p.Delay(n)) }

// Sleep waits for d, or until ctx is done and returns its error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
