package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const roomy = 1 << 30

func open(t testing.TB, o spool.Options) *spool.Spool {
	t.Helper()
	if o.MaxBytes == 0 {
		o.MaxBytes = roomy
	}
	s, err := spool.Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // most tests closed it
	return s
}

// message is the n-th of a topic, with size bytes.
func message(n, size int) *danube.Message {
	return &danube.Message{
		Topic: "/default/orders", Partition: -1, Offset: uint64(n), Producer: "shop", Key: fmt.Sprint("k", n%7),
		PublishTime: time.UnixMilli(1_700_000_000_000 + int64(n)), Payload: bytes.Repeat([]byte{byte(n)}, size),
	}
}

// add appends messages from to below end and syncs them.
func add(t testing.TB, s *spool.Spool, from, end, size int) {
	t.Helper()
	for n := from; n < end; n++ {
		_, fresh, err := s.Append(message(n, size))
		require.NoError(t, err)
		require.True(t, fresh)
	}
	require.NoError(t, s.Sync())
}

// rest lists the offsets of the messages that a start would write.
func rest(t testing.TB, s *spool.Spool) (offsets []uint64) {
	t.Helper()
	r := s.Reader(s.Stats().Settled)
	defer r.Close()
	for {
		m, _, err := r.Next()
		if errors.Is(err, seglog.ErrOutOfRange) {
			return offsets
		}
		require.NoError(t, err)
		offsets = append(offsets, m.Offset)
	}
}

// reopen closes s and opens it again.
func reopen(t testing.TB, s *spool.Spool, o spool.Options) *spool.Spool {
	t.Helper()
	require.NoError(t, s.Close())
	return open(t, o)
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
