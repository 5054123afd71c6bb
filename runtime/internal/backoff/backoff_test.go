package backoff_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
)

func TestDelayStaysInsideTheFormula(t *testing.T) {
	t.Parallel()
	p := backoff.Policy{Base: time.Second, Max: 30 * time.Second}
	for n, raw := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 5: 16, 6: 30, 70: 30, 1 << 30: 30} {
		low, high := time.Hour, time.Duration(0)
		for range 1000 {
			d := p.Delay(n)
			low, high = min(low, d), max(high, d)
		}
		raw *= time.Second
		require.GreaterOrEqual(t, low, raw/2, "retry %d", n)
		require.LessOrEqual(t, high, min(raw*3/2, p.Max), "retry %d", n)
		require.Greater(t, high-low, raw/4, "retry %d has no jitter", n)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := backoff.Policy{Base: time.Minute, Max: time.Hour}
		start := time.Now()
		require.ErrorIs(t, p.Wait(ctx, 1), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, p.Wait(t.Context(), 1))
		require.GreaterOrEqual(t, time.Since(start), 31*time.Second)
	})
}
