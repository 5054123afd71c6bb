package seglog_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// add appends one record and waits for it.
func add(l *seglog.Log) error {
	ticket, err := l.Append(record(l.Next()))
	if err != nil {
		return err
	}
	return ticket.Wait()
}

func TestAFullDisk(t *testing.T) {
	t.Parallel()
	for room := range int64(200) { // the disk is full at every byte of records and of the header of a new file
		disk := newDisk()
		l := open(t, "", disk.options(400))
		fill(t, l, 8)
		disk.room.Store(room)
		var err error
		for err == nil {
			err = add(l)
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		safe := l.Next()
		require.ErrorIs(t, add(l), syscall.ENOSPC)
		require.Equal(t, safe, l.Next(), "a failed append takes no offset")
		next, err := readAll(t, l)
		require.NoError(t, err)
		require.Equal(t, safe, next, "what was safe stays")

		kept, damage := verdict(t, disk.copy(), safe)
		require.Nil(t, damage)
		require.Equal(t, safe, kept)

		disk.room.Store(1 << 20)
		fill(t, l, 20)
		require.NoError(t, l.Close())
		kept, damage = verdict(t, disk, safe+20)
		require.Nil(t, damage)
		require.Equal(t, safe+20, kept)
	}
}

// Whoever waits for a record of a group that failed, or for one that came after it, is told, also when it asks late.
func TestAFailedGroupIsToldToAll(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	l := open(t, "", disk.options(0))
	fill(t, l, 1)
	var later seglog.Ticket
	disk.beforeIO = func() { // while the first group is written, a second gathers
		disk.beforeIO = nil
		var err error
		later, err = l.Append(record(2))
		require.NoError(t, err)
	}
	disk.room.Store(10)
	first, err := l.Append(record(1))
	require.NoError(t, err)
	require.ErrorIs(t, first.Wait(), syscall.ENOSPC)
	disk.room.Store(1 << 20)
	fill(t, l, 5) // takes the offsets anew
	require.ErrorIs(t, first.Wait(), syscall.ENOSPC)
	require.ErrorIs(t, later.Wait(), syscall.ENOSPC)
	next, err := readAll(t, l)
	require.NoError(t, err)
	require.Equal(t, uint64(6), next)
}

func TestAfterAFailedSyncNothingIsTaken(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	l := open(t, "", disk.options(0))
	fill(t, l, 5)
	disk.noSync.Store(true)
	require.ErrorIs(t, add(l), syscall.EIO)
	disk.noSync.Store(false)
	err := add(l)
	require.ErrorContains(t, err, "log takes no more records until it is opened again")
	require.ErrorIs(t, err, syscall.EIO)
	next, err := readAll(t, l)
	require.NoError(t, err)
	require.Equal(t, uint64(5), next, "what was safe can be read")
	require.NoError(t, l.Close())
	l = open(t, "", disk.options(0))
	require.False(t, l.Report().Closed)
	fill(t, l, 1)
}

func TestAFailedWriteThatCannotBeUndone(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	l := open(t, "", disk.options(0))
	fill(t, l, 5)
	disk.room.Store(10)
	disk.noCut.Store(true)
	require.ErrorIs(t, add(l), syscall.ENOSPC)
	disk.room.Store(1 << 20)
	disk.noCut.Store(false)
	require.ErrorContains(t, add(l), "log takes no more records until it is opened again")
	require.NoError(t, l.Close())
	kept, damage := verdict(t, disk, 5)
	require.Nil(t, damage, "the half record is a torn tail")
	require.Equal(t, uint64(5), kept)
}

func TestAReadOnlyDisk(t *testing.T) {
	t.Parallel()
	disk := newDisk()
	disk.readOnly.Store(true)
	l := open(t, "", disk.options(0))
	require.ErrorIs(t, add(l), syscall.EROFS)
	disk.readOnly.Store(false)
	fill(t, l, 3)
	died := disk.copy()
	died.readOnly.Store(true)
	_, err := seglog.Open("", died.options(0))
	require.ErrorIs(t, err, syscall.EROFS, "recovery has to write")
}
