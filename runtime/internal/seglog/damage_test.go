package seglog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/seglog"
)

// verdict opens a log that somebody has changed, and checks what must hold whatever was changed: every record that can be read is
// right, and one of the first n that is missing is either named by an error or counted in the report. It returns the number of
// records that are there, and the damage.
func verdict(t testing.TB, d *disk, n uint64) (kept uint64, damage *seglog.DamageError) {
	t.Helper()
	l, err := seglog.Open("", d.options(0))
	if err != nil {
		require.ErrorAs(t, err, &damage)
		require.NotEmpty(t, damage.File)
		require.Less(t, damage.Offset, n+1)
		return damage.Offset, damage
	}
	defer l.Close()
	next, err := readAll(t, l)
	if err != nil {
		require.ErrorAs(t, err, &damage)
		require.Equal(t, next, damage.Offset)
		return next, damage
	}
	require.Equal(t, l.Next(), next)
	require.Equal(t, next, l.Report().Next)
	if next < n {
		require.False(t, l.Report().Closed, "%d of %d records are there and the report says nothing", next, n)
	}
	require.LessOrEqual(t, next, n)
	return next, nil
}

// original is a log of n records in two segments, as it lies after Close or after the process died.
func original(t testing.TB, n int, closed bool) *disk {
	t.Helper()
	d := newDisk()
	l := open(t, "", d.options(600))
	fill(t, l, n)
	if !closed {
		return d.copy()
	}
	require.NoError(t, l.Close())
	return d
}

func TestEveryTruncation(t *testing.T) {
	t.Parallel()
	const n = 20
	for name, closed := range map[string]bool{"closed": true, "died": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := original(t, n, closed)
			files := d.names(".seg")
			require.Len(t, files, 2)
			for i, name := range files {
				whole := d.content(name)
				for size := range whole {
					cut := d.with(name, whole[:size:size])
					kept, damage := verdict(t, cut, n)
					if closed || i == 0 {
						require.NotNil(t, damage, "%s cut to %d bytes: all of it was safe", name, size)
						continue
					}
					// Nobody can know that these were safe: the report tells.
					require.Nil(t, damage, "%s cut to %d bytes", name, size)
					require.Less(t, kept, uint64(n))
					again, err := seglog.Open("", cut.options(600))
					require.NoError(t, err)
					require.Zero(t, again.Report().Cut, "what was cut once is clean")
					fill(t, again, 3)
					require.NoError(t, again.Close())
				}
			}
		})
	}
}

func TestEveryFlippedBit(t *testing.T) {
	t.Parallel()
	const n = 20
	for name, closed := range map[string]bool{"closed": true, "died": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := original(t, n, closed)
			for _, name := range d.names("") {
				whole := d.content(name)
				for at := range whole {
					for bit := range 8 {
						flipped := slices.Clone(whole)
						flipped[at] ^= 1 << bit
						kept, damage := verdict(t, d.with(name, flipped), n)
						if strings.HasSuffix(name, ".seg") && damage == nil {
							require.False(t, closed, "byte %d of %s", at, name)
							require.Equal(t, uint64(n-1), kept, "byte %d of %s: only the newest record can be taken for a torn one", at, name)
						}
					}
				}
			}
		})
	}
}

func TestAMissingFile(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := open(t, "", d.options(300))
	fill(t, l, 50)
	died := d.copy()
	require.NoError(t, l.Close())
	for _, from := range []*disk{d, died} {
		files := from.names(".seg")
		for _, gone := range files[1 : len(files)-1] { // without the first it looks trimmed
			_, damage := verdict(t, from.without(gone), 50)
			require.NotNil(t, damage)
			require.Equal(t, gone, damage.File)
			require.Contains(t, damage.Error(), "the file is missing")
		}
	}
	files := d.names(".seg")
	d = d.without(files[len(files)-1])
	_, damage := verdict(t, d, 50)
	require.NotNil(t, damage, "the newest file of a log that was closed")
	for _, name := range files {
		d = d.without(name)
	}
	_, damage = verdict(t, d, 50)
	require.NotNil(t, damage, "all files of a log that was closed")
}

// A group that was being written when the machine stopped may lie there with holes. None of it was safe.
func TestATornGroupWithALaterRecordWhole(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := open(t, "", d.options(0))
	fill(t, l, 10)
	before := l.Size()
	for range 10 { // one group
		_, err := l.Append(record(l.Next()))
		require.NoError(t, err)
	}
	fill(t, l, 1)
	name := d.names(".seg")[0]
	torn := d.content(name)
	clear(torn[before : before+40])
	kept, damage := verdict(t, d.with(name, torn), 21)
	require.Nil(t, damage)
	require.Equal(t, uint64(10), kept)

	// The same hole is damage when a later group says that this one was safe.
	fill(t, l, 1)
	torn = d.content(name)
	clear(torn[before : before+40])
	damaged := d.with(name, torn)
	_, damage = verdict(t, damaged, 22)
	require.NotNil(t, damage)
	require.Equal(t, uint64(10), damage.Offset)
	require.Equal(t, before, damage.At)
	require.Equal(t, torn, damaged.content(name), "nothing is changed in a damaged log")
}

// Whoever knows what was safe is told of every loss, also where the log alone could not know.
func TestTruncationBelowWhatWasSafe(t *testing.T) {
	t.Parallel()
	const n = 20
	d := original(t, n, false)
	files := d.names(".seg")
	name := files[len(files)-1]
	whole := d.content(name)
	opts := func(d *disk, safe uint64) seglog.Options {
		o := d.options(600)
		o.Safe = safe
		return o
	}
	for size := range whole {
		cut := d.with(name, whole[:size:size])
		_, err := seglog.Open("", opts(cut, n))
		var damage *seglog.DamageError
		require.ErrorAs(t, err, &damage, "cut to %d bytes", size)
		require.Len(t, cut.content(name), size, "nothing is changed in a damaged log")
	}
	_, err := seglog.Open("", opts(newDisk(), 1))
	require.ErrorContains(t, err, "the file is missing")
	require.NoError(t, open(t, "", opts(d, n)).Close())
	torn := d.with(name, append(d.content(name), 1, 2, 3))
	l := open(t, "", opts(torn.without("closed"), n))
	require.Equal(t, int64(3), l.Report().Cut)
}

// The process may die between the steps of beginning a file.
func TestAnUnfinishedSegmentFile(t *testing.T) {
	t.Parallel()
	d := newDisk()
	l := open(t, "", d.options(300))
	fill(t, l, 20)
	whole := d.content(d.names(".seg")[0])
	const unfinished = "00000000000000000020.seg"
	for _, size := range []int{0, 1, 43} {
		died := d.with(unfinished, whole[:size:size])
		kept, damage := verdict(t, died, 20)
		require.Nil(t, damage)
		require.Equal(t, uint64(20), kept)
		require.NotContains(t, died.names(""), unfinished)
		l := open(t, "", died.options(300))
		fill(t, l, 20)
		require.NoError(t, l.Close())
		_, damage = verdict(t, died, 40)
		require.Nil(t, damage)

		// The file before it was full, so that nothing in it can be torn.
		files := d.names(".seg")
		last := d.content(files[len(files)-1])
		_, damage = verdict(t, d.with(files[len(files)-1], last[:len(last)-1]).with(unfinished, whole[:size:size]), 20)
		require.NotNil(t, damage)
	}
}

func FuzzOpen(f *testing.F) {
	d := original(f, 20, false)
	files := d.names(".seg")
	name := files[len(files)-1]
	whole := d.content(name)
	f.Add(uint16(0), uint16(0), []byte{})
	f.Add(uint16(50), uint16(4), []byte{0xff, 0xff, 0xff, 0x7f})
	f.Add(uint16(len(whole)-10), uint16(100), whole)
	f.Fuzz(func(t *testing.T, at, replaced uint16, with []byte) {
		start := min(int(at), len(whole))
		end := min(start+int(replaced), len(whole))
		changed := d.with(name, slices.Concat(whole[:start], with, whole[end:]))
		l, err := seglog.Open("", changed.options(0))
		if err != nil {
			var damage *seglog.DamageError
			require.ErrorAs(t, err, &damage)
			return
		}
		defer l.Close()
		for offset := l.First(); offset < l.Next(); offset++ {
			got, err := l.Read(offset)
			if err == nil && offset < 20 {
				require.Equal(t, string(record(offset)), string(got))
			}
		}
		require.False(t, l.Report().Closed)
		fill(t, l, 1)
	})
}
