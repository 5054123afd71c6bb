package spool_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

func TestMessagesComeBackWholeAndInOrder(t *testing.T) {
	t.Parallel()
	want := []*danube.Message{
		message(0, 0), message(1, 1), message(2, 100_000),
		{
			Topic: "/a/b", Partition: 3, Offset: 1 << 63, Producer: "p\xff", Key: "\x00\xfe", Payload: []byte("{}"), SchemaID: 1 << 40, SchemaVersion: 1 << 31,
			PublishTime: time.UnixMilli(-5), Attributes: map[string]string{"": "empty", "b": "", "ü": "\xff"},
		},
		{},
	}
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	before := time.Now().Truncate(time.Millisecond)
	for i, m := range want {
		seq, fresh, err := s.Append(m)
		require.NoError(t, err)
		require.True(t, fresh)
		require.Equal(t, uint64(i), seq)
	}
	require.NoError(t, s.Sync())
	for range 2 {
		r := s.Reader(0)
		for i, m := range want {
			got, at, err := r.Next()
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(*m, got, cmpopts.IgnoreUnexported(danube.Message{}), cmpopts.EquateEmpty()), "message %d", i)
			require.False(t, at.Before(before))
			require.False(t, at.After(time.Now()))
		}
		require.NoError(t, r.Close())
		s = reopen(t, s, o)
	}
}

func TestAMessageIsTheCallersOnceItWasRead(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Options{Dir: t.TempDir()})
	add(t, s, 0, 2, 50)
	r := s.Reader(0)
	defer r.Close()
	first, _, err := r.Next()
	require.NoError(t, err)
	_, _, err = r.Next()
	require.NoError(t, err)
	require.Equal(t, message(0, 50).Payload, first.Payload)
	clear(first.Payload)
	again := s.Reader(0)
	defer again.Close()
	m, _, err := again.Next()
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{0}, 50), m.Payload)
}

func TestARepeatedMessageIsRecognised(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	_, ok := s.Find(message(0, 10))
	require.False(t, ok, "an empty spool knows nothing")
	add(t, s, 0, 10, 10)
	for seq := range uint64(5) {
		s.Done(seq) // settled ones are recognised too: their acknowledgement may have been lost
	}
	for range 3 {
		for n := range 10 {
			seq, ok := s.Find(message(n, 10))
			require.True(t, ok)
			require.Equal(t, uint64(n), seq)
			seq, fresh, err := s.Append(message(n, 10))
			require.NoError(t, err)
			require.False(t, fresh)
			require.Equal(t, uint64(n), seq)
		}
		require.NoError(t, s.Sync())
		require.Equal(t, uint64(10), s.Stats().Next)
		s = reopen(t, s, o)
	}
}

func TestAMessageThatDiffersInOneFieldIsAnother(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Options{Dir: t.TempDir()})
	add(t, s, 0, 1, 10)
	for name, change := range map[string]func(*danube.Message){
		"offset":       func(m *danube.Message) { m.Offset++ },
		"publish time": func(m *danube.Message) { m.PublishTime = m.PublishTime.Add(time.Millisecond) }, // offsets began anew
		"partition":    func(m *danube.Message) { m.Partition = 0 },
		"topic":        func(m *danube.Message) { m.Topic += "2" },
		"producer":     func(m *danube.Message) { m.Producer += "2" },
		"border":       func(m *danube.Message) { m.Topic, m.Producer = m.Topic+m.Producer[:1], m.Producer[1:] },
	} {
		m := message(0, 10)
		change(m)
		_, ok := s.Find(m)
		require.False(t, ok, name)
	}
}

func TestTheNewest4096AreRecognised(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	const n = 2*4096 + 100
	add(t, s, 0, n, 10)
	for range 2 {
		for _, known := range []int{n - 1, n - 4096} {
			seq, ok := s.Find(message(known, 10))
			require.True(t, ok, "message %d", known)
			require.Equal(t, uint64(known), seq)
		}
		_, ok := s.Find(message(n-4097, 10))
		require.False(t, ok, "memory is bounded")
		s = reopen(t, s, o)
	}
	_, fresh, err := s.Append(message(0, 10)) // so old that it counts as new
	require.NoError(t, err)
	require.True(t, fresh)
	add(t, s, n, n+4095, 10)
	seq, ok := s.Find(message(0, 10))
	require.True(t, ok, "its first place leaving the memory does not take the new one along")
	require.Equal(t, uint64(n), seq)
}

func TestOnlyWhatIsNotSettledComesAgain(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	require.True(t, s.Clean())
	add(t, s, 0, 6, 10)
	require.False(t, s.Clean())
	for _, seq := range []uint64{1, 4, 2} {
		s.Done(seq)
	}
	require.Equal(t, uint64(6), s.Stats().Waiting())
	s = reopen(t, s, o)
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 5}, rest(t, s), "in order, although some were settled before an older one")
	for _, seq := range []uint64{1, 0, 2, 0, 1} {
		s.Done(seq)
	}
	require.NoError(t, s.Save())
	s = reopen(t, s, o)
	require.Equal(t, []uint64{3, 4, 5}, rest(t, s))
	require.Equal(t, uint64(3), s.Stats().Waiting())
	for _, seq := range []uint64{5, 4, 3} {
		s.Done(seq)
		require.False(t, s.Clean(), "clean is what is durable")
	}
	require.NoError(t, s.Save())
	require.True(t, s.Clean())
	s = reopen(t, s, o)
	require.True(t, s.Clean())
	require.Empty(t, rest(t, s))
	add(t, s, 6, 7, 10)
	require.Equal(t, []uint64{6}, rest(t, s), "places go on")
}

// What was settled and not saved comes again after a crash, and nothing that was saved does.
func TestACrashBeforeSave(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	add(t, s, 0, 4, 10)
	s.Done(0)
	require.NoError(t, s.Save())
	s.Done(1)
	s.Die()
	s = open(t, o)
	require.Equal(t, []uint64{1, 2, 3}, rest(t, s))
}
