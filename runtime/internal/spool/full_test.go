package spool_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// fill appends messages from on until the spool is full, syncing after every group of them, and returns the first that did not fit.
func fill(t *testing.T, s *spool.Spool, from, size, group int) int {
	t.Helper()
	for n := from; ; n++ {
		_, _, err := s.Append(message(n, size))
		if err != nil {
			require.ErrorIs(t, err, spool.ErrFull)
			require.NoError(t, s.Sync())
			_, known := s.Find(message(n, size))
			require.False(t, known)
			require.Equal(t, uint64(n), s.Stats().Next, "what was refused has no place")
			return n
		}
		if (n-from)%group == group-1 {
			require.NoError(t, s.Sync())
		}
	}
}

func TestAFullSpoolTakesMoreWhenMessagesAreSettled(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	for _, c := range []struct{ size, group int }{
		{most / 8, 1}, {most / 8, 1000}, {100, 100}, {100, 1 << 30}, {most/2 + 1, 1}, {most - 1000, 1}, {30_000, 7},
	} {
		t.Run(fmt.Sprintf("%d bytes, %d at once", c.size, c.group), func(t *testing.T) {
			t.Parallel()
			o := spool.Options{Dir: t.TempDir(), MaxBytes: most}
			s := open(t, o)
			end, first := 0, 0
			for range 5 {
				end = fill(t, s, end, c.size, c.group)
				require.Greater(t, end, first, "it took nothing")
				require.LessOrEqual(t, s.Stats().Bytes, int64(most+1000), "file headers are not counted")
				require.Len(t, rest(t, s), end-first)
				for ; first < end; first++ {
					s.Done(uint64(first))
				}
				require.NoError(t, s.Save())
				require.LessOrEqual(t, s.Stats().Bytes, int64(most/2))
				s = reopen(t, s, o)
				require.True(t, s.Clean())
			}
		})
	}
}

// A spool that is not quite settled gives back the files before the first message that is not.
func TestRoomComesBackFromTheFront(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Options{Dir: t.TempDir(), MaxBytes: 1 << 20})
	end := fill(t, s, 0, 1000, 10)
	for seq := range uint64(end / 2) {
		s.Done(seq)
	}
	_, _, err := s.Append(message(end, 1000))
	require.ErrorIs(t, err, spool.ErrFull, "settled is not yet saved")
	require.NoError(t, s.Save())
	again := fill(t, s, end, 1000, 10)
	require.Greater(t, again-end, end/4)
	require.Len(t, rest(t, s), again-end/2)
}

// Messages that are only kept to be recognised never keep a new one out.
func TestWhatIsKeptForRecognitionGivesWay(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), MaxBytes: 1 << 20}
	s := open(t, o)
	add(t, s, 0, 400, 1000)
	for seq := range uint64(400) {
		s.Done(seq)
	}
	require.NoError(t, s.Save())
	require.Greater(t, s.Stats().Bytes, int64(400_000))
	s = reopen(t, s, o)
	_, known := s.Find(message(0, 1000))
	require.True(t, known, "there is room to keep them")
	add(t, s, 400, 401, 1_000_000)
	require.Equal(t, []uint64{400}, rest(t, s))
}

func TestAMessageLargerThanTheSpoolIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, spool.Options{Dir: t.TempDir(), MaxBytes: 1 << 20})
	_, _, err := s.Append(message(0, 1<<20))
	require.ErrorIs(t, err, spool.ErrFull)
	require.ErrorContains(t, err, "1048576 bytes")
	add(t, s, 0, 1, 10)
}

// No random order of appends, settlements and saves leaves a spool that is full although all is settled.
func TestASettledSpoolIsNeverFull(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			random, most := newRandom(seed), int64(200_000+100_000*seed)
			s := open(t, spool.Options{Dir: t.TempDir(), MaxBytes: most, NoSync: true})
			n, first := 0, 0
			for range 200 {
				switch random.IntN(4) {
				case 0:
					for ; first < n && random.IntN(30) > 0; first++ {
						s.Done(uint64(first))
					}
				case 1:
					require.NoError(t, s.Save())
				default:
					size := 1 << random.IntN(16)
					for range 1 + random.IntN(20) {
						_, _, err := s.Append(message(n, size))
						if errors.Is(err, spool.ErrFull) {
							break
						}
						require.NoError(t, err)
						n++
					}
					require.NoError(t, s.Sync())
				}
				require.LessOrEqual(t, s.Stats().Bytes, most+2000, "file headers are not counted")
			}
			for ; first < n; first++ {
				s.Done(uint64(first))
			}
			require.NoError(t, s.Save())
			add(t, s, n, n+1, int(most)-1000)
		})
	}
}
