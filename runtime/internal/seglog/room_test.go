package seglog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

func TestRollLetsTrimRemoveAllThatWasWritten(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	l := open(t, "", disk.options(0))
	require.NoError(t, l.Roll(), "a log without a file has nothing to begin after")
	require.Empty(t, disk.names(".seg"))
	fill(t, l, 20)
	full := l.Footprint()
	require.Equal(t, l.Size(), full)

	require.NoError(t, l.Roll())
	require.NoError(t, l.Roll(), "the new one is empty, so it stays")
	require.Len(t, disk.names(".seg"), 2)
	require.NoError(t, l.Trim(20, seglog.Keep{}))
	require.Equal(t, uint64(20), l.First())
	require.Equal(t, uint64(20), l.Next())
	require.Less(t, l.Footprint(), full/4)

	kept, damage := verdict(t, disk.copy(), 20)
	require.Nil(t, damage)
	require.Equal(t, uint64(20), kept, "what a crash leaves knows the next offset")
	fill(t, l, 5)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Roll(), seglog.ErrClosed)
	kept, damage = verdict(t, disk, 25)
	require.Nil(t, damage)
	require.Equal(t, uint64(25), kept)
}

func TestRollOfALogThatWasClosed(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	l := open(t, "", disk.options(0))
	fill(t, l, 5)
	require.NoError(t, l.Close())
	l = open(t, "", disk.options(0))
	require.NoError(t, l.Roll())
	kept, damage := verdict(t, disk.copy(), 5)
	require.Nil(t, damage)
	require.Equal(t, uint64(5), kept)
	require.NoError(t, l.Trim(5, seglog.Keep{}))
	fill(t, l, 5)
	next, err := readAll(t, l)
	require.NoError(t, err)
	require.Equal(t, uint64(10), next)
}

func TestFootprintCountsWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	l := open(t, "", disk.options(0))
	fill(t, l, 1)
	before := l.Footprint()
	ticket, err := l.Append(make([]byte, 100))
	require.NoError(t, err)
	require.Equal(t, before+100+seglog.FrameSize, l.Footprint())
	disk.beforeIO = func() { require.Equal(t, before+100+seglog.FrameSize, l.Footprint(), "while it is written") }
	require.NoError(t, ticket.Wait())
	require.Equal(t, before+100+seglog.FrameSize, l.Footprint())
	require.Equal(t, l.Size(), l.Footprint())
	disk.beforeIO = nil
	disk.room.Store(0)
	require.Error(t, add(l))
	require.Equal(t, l.Size(), l.Footprint(), "what failed takes nothing")
}
