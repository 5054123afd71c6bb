package danube

import "sync/atomic"

// A memory bounds what the messages take that a consumer's caller holds, over all partitions. A consumer must always read, so what exceeds
// it is dropped unacknowledged, and the streams are opened again once there is room: the broker repeats all that is unacknowledged.
type memory struct {
	limit  int64
	used   atomic.Int64
	spills atomic.Int64 // partitions that drop what comes
}

// take makes room for size bytes; without force it may refuse. The first message is always taken, however large.
func (m *memory) take(size int64, force bool) bool {
	if m.used.Add(size) > m.limit && !force {
		m.used.Add(-size)
		return false
	}
	return true
}

func (m *memory) give(size int64) { m.used.Add(-size) }

// overflows notes in flag whether a partition drops what comes.
func (m *memory) overflows(flag *bool, now bool) {
	if *flag == now {
		return
	}
	*flag = now
	if now {
		m.spills.Add(1)
	} else {
		m.spills.Add(-1)
	}
}

// relieved tells whether streams should be opened again.
func (m *memory) relieved() bool { return m.spills.Load() > 0 && m.used.Load() <= m.limit/2 }
