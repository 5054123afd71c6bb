package spool_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// A sickDisk is the operating system's, until one of its functions is made to fail.
type sickDisk struct {
	seglog.FS
	write, sync, open, remove atomic.Pointer[error]
}

func newSickDisk() *sickDisk { return &sickDisk{FS: seglog.OS} }

// fails is the error that p holds, nil if none.
func fails(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

func (d *sickDisk) OpenFile(name string, flag int, perm fs.FileMode) (seglog.File, error) {
	if err := fails(&d.open); err != nil && flag&(os.O_RDWR|os.O_WRONLY) != 0 {
		return nil, err
	}
	f, err := d.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return sickFile{f, d}, nil
}

func (d *sickDisk) Remove(name string) error {
	if err := fails(&d.remove); err != nil {
		return err
	}
	return d.FS.Remove(name)
}

type sickFile struct {
	seglog.File
	disk *sickDisk
}

// WriteAt writes half of b when it fails, as a full disk does.
func (f sickFile) WriteAt(b []byte, at int64) (int, error) {
	if err := fails(&f.disk.write); err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], at)
		return n, err
	}
	return f.File.WriteAt(b, at)
}

func (f sickFile) Sync() error {
	if err := fails(&f.disk.sync); err != nil {
		return err
	}
	return f.File.Sync()
}

// refusesAll appends messages 5 to 7, which must not get anywhere.
func refusesAll(t *testing.T, s *spool.Spool, want error) {
	t.Helper()
	for range 2 {
		var err error
		for n := 5; n < 8 && err == nil; n++ {
			_, _, err = s.Append(message(n, 1000))
		}
		if err == nil {
			err = s.Sync()
		}
		require.ErrorIs(t, err, want)
		for n := range 8 {
			seq, known := s.Find(message(n, 1000))
			require.Equal(t, n < 5, known, "message %d", n)
			require.True(t, !known || seq == uint64(n))
		}
		require.Equal(t, uint64(5), s.Stats().Next)
		require.Equal(t, []uint64{0, 1, 2, 3, 4}, rest(t, s), "what was safe can be read")
	}
}

func TestADiskThatTakesNothingForAWhile(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*sickDisk) (*atomic.Pointer[error], error){
		"full":      func(d *sickDisk) (*atomic.Pointer[error], error) { return &d.write, syscall.ENOSPC },
		"read-only": func(d *sickDisk) (*atomic.Pointer[error], error) { return &d.open, syscall.EROFS },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := newSickDisk()
			o := spool.Options{Dir: t.TempDir(), FS: disk}
			s := open(t, o)
			add(t, s, 0, 5, 1000)
			s = reopen(t, s, o) // so that the file has to be opened
			at, err := fail(disk)
			at.Store(&err)
			refusesAll(t, s, err)
			at.Store(nil)
			for n := 7; n >= 5; n-- { // places are given anew, in another order
				add(t, s, n, n+1, 1000)
			}
			for range 2 {
				require.Equal(t, []uint64{0, 1, 2, 3, 4, 7, 6, 5}, rest(t, s))
				for place, n := range []int{7, 6, 5} {
					seq, known := s.Find(message(n, 1000))
					require.True(t, known, "message %d", n)
					require.Equal(t, uint64(5+place), seq)
				}
				s = reopen(t, s, o)
			}
		})
	}
}

func TestAfterAFailedSyncOnlyANewStartHelps(t *testing.T) {
	t.Parallel()
	disk, broken := newSickDisk(), error(syscall.EIO)
	o := spool.Options{Dir: t.TempDir(), FS: disk}
	s := open(t, o)
	add(t, s, 0, 5, 1000)
	disk.sync.Store(&broken)
	refusesAll(t, s, broken)
	disk.sync.Store(nil)
	refusesAll(t, s, broken) // nobody knows what the disk has
	s.Done(0)
	require.NoError(t, s.Save(), "what is settled can be saved all the same")
	s = reopen(t, s, o)
	left := rest(t, s)
	require.Equal(t, []uint64{1, 2, 3, 4}, left[:4])
	for _, offset := range left[4:] { // they came to the disk, so they count, and are recognised when the broker brings them again
		_, fresh, err := s.Append(message(int(offset), 1000))
		require.NoError(t, err)
		require.False(t, fresh)
	}
	add(t, s, 10, 12, 1000)
	require.Equal(t, append(left, 10, 11), rest(t, s))
}

func TestAFolderThatIsTakenAway(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: filepath.Join(t.TempDir(), "spool"), MaxBytes: 1 << 20}
	s := open(t, o)
	add(t, s, 0, 1, 10)
	require.NoError(t, os.Rename(o.Dir, o.Dir+".away"))
	_, fresh, err := s.Append(message(1, 200_000)) // takes a new file
	require.NoError(t, err)
	require.True(t, fresh)
	require.ErrorIs(t, s.Sync(), fs.ErrNotExist)
	_, known := s.Find(message(1, 200_000))
	require.False(t, known)
	s.Done(0)
	require.ErrorIs(t, s.Save(), fs.ErrNotExist)
	require.False(t, s.Clean(), "nothing was saved")
	require.NoError(t, os.Rename(o.Dir+".away", o.Dir))
	require.NoError(t, s.Save())
	require.True(t, s.Clean())
	add(t, s, 1, 2, 200_000)
	require.Equal(t, []uint64{1}, rest(t, reopen(t, s, o)))
}

// Room that could not be freed is freed by the next Save, although nothing was settled since.
func TestRoomThatCouldNotBeFreed(t *testing.T) {
	t.Parallel()
	disk, broken := newSickDisk(), error(syscall.EACCES)
	s := open(t, spool.Options{Dir: t.TempDir(), FS: disk, MaxBytes: 1 << 20})
	end := fill(t, s, 0, 10_000, 1)
	for seq := range uint64(end) {
		s.Done(seq)
	}
	disk.remove.Store(&broken)
	require.ErrorIs(t, s.Save(), broken)
	require.True(t, s.Clean(), "the mark is saved")
	_, _, err := s.Append(message(end, 10_000))
	require.ErrorIs(t, err, broken)
	disk.remove.Store(nil)
	require.NoError(t, s.Save())
	require.Less(t, s.Stats().Bytes, int64(1000))
	add(t, s, end, end+1, 10_000)
}
