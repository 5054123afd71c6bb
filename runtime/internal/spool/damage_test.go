package spool_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/position"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// segments lists the files of messages.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "messages", "*.seg"))
	require.NoError(t, err)
	return files
}

// contents are the bytes of all files that hold messages or the mark.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range append(segments(t, dir), filepath.Join(dir, "settled.position.json")) {
		text, err := os.ReadFile(name)
		if err == nil {
			all[name] = string(text)
		}
	}
	return all
}

// refuses checks that the spool does not open, and changes nothing.
func refuses(t *testing.T, o spool.Options) error {
	t.Helper()
	if o.MaxBytes == 0 {
		o.MaxBytes = roomy
	}
	before := contents(t, o.Dir)
	_, err := spool.Open(o)
	require.Error(t, err)
	require.Equal(t, before, contents(t, o.Dir))
	return err
}

// mark stores bytes as the mark of a spool that is closed.
func mark(t *testing.T, dir string, value []byte) {
	t.Helper()
	marks, err := position.Open(dir, "settled")
	require.NoError(t, err)
	require.NoError(t, marks.Save(value))
	require.NoError(t, marks.Close())
}

func place(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func TestASecondProcessIsTurnedAway(t *testing.T) {
	if dir := os.Getenv("SPOOL_OF_ANOTHER"); dir != "" {
		_, err := spool.Open(spool.Options{Dir: dir, MaxBytes: roomy})
		require.ErrorContains(t, err, "in use by process")
		return
	}
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), MaxBytes: roomy}
	s := open(t, o)
	_, err := spool.Open(o)
	require.ErrorContains(t, err, "in use by process")
	self, err := os.Executable()
	require.NoError(t, err)
	other := exec.Command(self, "-test.run=^TestASecondProcessIsTurnedAway$", "-test.v")
	other.Env = append(os.Environ(), "SPOOL_OF_ANOTHER="+o.Dir)
	out, err := other.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestASecondProcessIsTurnedAway")
	add(t, s, 0, 1, 10)
	reopen(t, s, o)
}

func TestATornTailIsReported(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	add(t, s, 0, 5, 10)
	require.NoError(t, s.Save())
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(o.Dir, "messages", "closed"))) // as if it had died
	last := segments(t, o.Dir)[0]
	info, err := os.Stat(last)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(last, info.Size()-3))
	s = open(t, o)
	require.Positive(t, s.Report().Cut)
	require.Equal(t, last, s.Report().File)
	require.Equal(t, []uint64{0, 1, 2, 3}, rest(t, s))
	_, known := s.Find(message(4, 10))
	require.False(t, known, "so that it is appended when it comes again")
}

func TestDamageInTheMiddleStopsTheStart(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), MaxBytes: 8 << 20}
	s := open(t, o)
	for n := range 6 {
		add(t, s, n, n+1, 600_000) // one file each
	}
	s.Done(0)
	require.NoError(t, s.Close())
	files := segments(t, o.Dir)
	require.Len(t, files, 6)
	for _, file := range files[1:] {
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		bad := append([]byte(nil), whole...)
		bad[50_000] ^= 1
		require.NoError(t, os.WriteFile(file, bad, 0o600))
		var damage *seglog.DamageError
		require.ErrorAs(t, refuses(t, o), &damage)
		require.Equal(t, file, damage.File)
		require.Positive(t, damage.At)
		require.NoError(t, os.WriteFile(file, whole, 0o600))
	}
	require.NoError(t, os.Rename(files[3], files[3]+".away"))
	require.ErrorContains(t, refuses(t, o), files[3])
	require.NoError(t, os.Rename(files[3]+".away", files[3]))
	require.Equal(t, []uint64{1, 2, 3, 4, 5}, rest(t, open(t, o)))
}

// What lies too far back to be recognised is not read by Open. Reading stops at damage, and tries the same place again.
func TestDamageFarBackStopsReading(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), MaxBytes: 64 << 20}
	s := open(t, o)
	add(t, s, 0, 1, 5<<20)
	add(t, s, 1, 2, 5<<20)
	add(t, s, 2, 3, 5<<20)
	add(t, s, 3, 5000, 10)
	require.NoError(t, s.Close())
	file := segments(t, o.Dir)[1]
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	whole[1000] ^= 1
	require.NoError(t, os.WriteFile(file, whole, 0o600))
	s = open(t, o)
	r := s.Reader(0)
	defer r.Close()
	_, _, err = r.Next()
	require.NoError(t, err)
	for range 3 {
		_, _, err = r.Next()
		var damage *seglog.DamageError
		require.ErrorAs(t, err, &damage)
		require.Equal(t, file, damage.File)
		require.Equal(t, uint64(1), damage.Offset)
	}
}

func TestMarksThatDoNotFitStopTheStart(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), MaxBytes: 1 << 20}
	s := open(t, o)
	for n := range 20 {
		add(t, s, n, n+1, 100_000)
		s.Done(uint64(n))
		require.NoError(t, s.Save())
	}
	require.Positive(t, len(segments(t, o.Dir)))
	require.NoError(t, s.Close())
	name := filepath.Join(o.Dir, "settled.position.json")
	right, err := os.ReadFile(name)
	require.NoError(t, err)

	require.NoError(t, os.Remove(name)) // the first messages are gone from the log, and nothing says that they are settled
	require.ErrorContains(t, refuses(t, o), "those below 0 are settled")
	mark(t, o.Dir, place(1))
	require.ErrorContains(t, refuses(t, o), "those below 1 are settled")
	mark(t, o.Dir, place(21))
	require.Error(t, refuses(t, o), "ahead of the log")
	o.NoSync = true
	require.Error(t, refuses(t, o), "it was closed, so all of it is there")
	o.NoSync = false
	for _, odd := range []string{"1234567", "123456789"} {
		mark(t, o.Dir, []byte(odd))
		require.ErrorContains(t, refuses(t, o), name)
	}
	require.NoError(t, os.WriteFile(name, right[:len(right)/2], 0o600))
	require.ErrorContains(t, refuses(t, o), name)
	require.NoError(t, os.WriteFile(name, right, 0o600))
	require.NoError(t, os.Rename(filepath.Join(o.Dir, "messages"), filepath.Join(o.Dir, "away")))
	require.ErrorContains(t, refuses(t, o), "the file is missing")
	require.NoError(t, os.RemoveAll(filepath.Join(o.Dir, "messages")))
	o.NoSync = true
	require.ErrorContains(t, refuses(t, o), "holds messages 0 to 0")
	o.NoSync = false
	require.NoError(t, os.RemoveAll(filepath.Join(o.Dir, "messages")))
	require.NoError(t, os.Rename(filepath.Join(o.Dir, "away"), filepath.Join(o.Dir, "messages")))
	require.True(t, open(t, o).Clean())
}

// Without a mark everything is written again: twice is better than never.
func TestAMissingMarkOfAYoungSpool(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir()}
	s := open(t, o)
	add(t, s, 0, 3, 10)
	s.Done(0)
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(o.Dir, "settled.position.json")))
	require.Equal(t, []uint64{0, 1, 2}, rest(t, open(t, o)))
}

// Without sync the mark may outlive messages that it calls settled. Those that get their places are not settled.
func TestAMarkAheadOfALogThatWasNotSynced(t *testing.T) {
	t.Parallel()
	o := spool.Options{Dir: t.TempDir(), NoSync: true}
	s := open(t, o)
	add(t, s, 0, 4, 10)
	for seq := range uint64(4) {
		s.Done(seq)
	}
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(o.Dir, "messages", "closed"))) // the machine ended
	last := segments(t, o.Dir)[0]
	info, err := os.Stat(last)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(last, info.Size()*3/5))
	s = open(t, o)
	next := s.Stats().Next
	require.Less(t, next, uint64(4))
	require.True(t, s.Clean())
	add(t, s, 10, 13, 10)
	s.Die()
	require.Equal(t, []uint64{10, 11, 12}, rest(t, open(t, o)), "from place %d on", next)
}
