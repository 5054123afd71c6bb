package seglogtest

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// sector is how many bytes of a file come to the disk together. Real ones have 512 or more; small ones tear small records.
const sector = 32

// After is the machine that finds the disk of m, which has ended. What there is of the changes that were not synced is random.
func (m *Machine) After(random *rand.Rand) *Machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = true
	return &Machine{root: m.root.after(random, make(map[*node]*node)), left: -1}
}

// after is what is left of n. A node that has two names is the same under both.
func (n *node) after(random *rand.Rand, done map[*node]*node) *node {
	if left := done[n]; left != nil {
		return left
	}
	left := &node{}
	done[n] = left
	if n.names == nil {
		left.now = n.contentAfter(random)
		left.synced = slices.Clone(left.now)
		return left
	}
	names := maps.Clone(n.syncedNames)
	for _, r := range n.renames {
		if random.IntN(2) == 0 {
			r.apply(names)
		}
	}
	left.names = make(map[string]*node)
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so that a seed always gives the same
		left.names[name] = names[name].after(random, done)
	}
	left.syncedNames = maps.Clone(left.names)
	return left
}

// contentAfter is what is left of a file.
func (n *node) contentAfter(random *rand.Rand) []byte {
	content := slices.Clone(n.synced)
	fate := random.IntN(4)
	for _, w := range n.writes {
		switch {
		case fate == 0: // all of it is lost
		case fate == 1: // all of it was written anyway
			content = w.apply(content)
		case w.data == nil:
			if random.IntN(2) == 0 {
				content = w.apply(content)
			}
		default:
			content = w.torn(random, content, fate == 3)
		}
	}
	return content
}

// torn applies some sectors of w. When the new size came to the disk before the content, what is missing is zeros, or what lay there
// before.
func (w write) torn(random *rand.Rand, content []byte, sized bool) []byte {
	end := w.at + int64(len(w.data))
	if missing := end - int64(len(content)); sized && missing > 0 {
		stale := make([]byte, missing)
		if random.IntN(2) == 0 {
			for i := range stale {
				stale[i] = byte(random.Uint32())
			}
		}
		content = append(content, stale...)
	}
	for at := w.at; at < end; {
		next := min(at/sector*sector+sector, end)
		if random.IntN(2) == 0 {
			content = write{at, w.data[at-w.at : next-w.at]}.apply(content)
		}
		at = next
	}
	return content
}
