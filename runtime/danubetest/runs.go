package danubetest

import "sort"

// runs is a set of offsets, kept as runs of neighbours in ascending order, so that its size is that of its holes.
type runs []run

type run struct{ from, to uint64 } // to is not part of it

// add puts an offset into the set.
func (s *runs) add(offset uint64) {
	all := *s
	i := sort.Search(len(all), func(i int) bool { return all[i].to >= offset }) // the first run that holds it or ends before it
	switch {
	case i == len(all):
		all = append(all, run{offset, offset + 1})
	case all[i].from <= offset && offset < all[i].to:
	case all[i].to == offset:
		all[i].to++
		if i+1 < len(all) && all[i+1].from == all[i].to {
			all[i].to = all[i+1].to
			all = append(all[:i+1], all[i+2:]...)
		}
	case all[i].from == offset+1:
		all[i].from--
	default:
		all = append(all, run{})
		copy(all[i+1:], all[i:])
		all[i] = run{offset, offset + 1}
	}
	*s = all
}

// end returns the first offset after start that is not in the set; ok is false when start itself is not.
func (s runs) end(start uint64) (offset uint64, ok bool) {
	i := sort.Search(len(s), func(i int) bool { return s[i].to > start })
	if i == len(s) || s[i].from > start {
		return 0, false
	}
	return s[i].to, true
}
