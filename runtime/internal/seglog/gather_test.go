package seglog_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Writers that append again as soon as they may share each sync. If the log did not wait for those that it has just released, they
// would make two groups that take turns.
func TestThoseWhoAppendAgainShareTheNextSync(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 20
	disk := newDisk()
	disk.syncTime = 10 * time.Millisecond
	l := open(t, "", disk.options(0))
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				ticket, err := l.Append([]byte("record"))
				if err == nil {
					err = ticket.Wait()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, uint64(writers*each), l.Next())
	require.Less(t, disk.syncs.Load(), int64(each*3/2), "syncs; two groups would need %d", 2*each)
}
