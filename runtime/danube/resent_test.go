package danube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// What the real broker's ring has lost must not be waited for on a new stream.
func TestT18AGapHoldsNothingUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(b *bench) {
		k, p := b.consumer(), b.producer(0)
		b.send(p, 0, 1)
		b.ackEach(k, b.receive(k, 0, 1))
		k.Pause(errAway)
		time.Sleep(time.Second)
		b.send(p, 1, 301)
		k.Resume()
		for i := range 256 {
			b.ackEach(k, b.receive(k, 45+i, 1))
		}
		require.Empty(t, b.within(k, time.Minute), "nothing comes twice")
	}, danubetest.Imitate("v0.15"))
}
