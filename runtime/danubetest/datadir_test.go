package danubetest_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// life runs a test's part on a broker with a data directory, on a fake clock, and closes the broker.
func life(t *testing.T, dir string, part func(*testing.T, *client), opts ...danubetest.Option) {
	t.Helper()
	bubble(t, part, append(opts, danubetest.DataDir(dir))...)
}

// killed is what is left of a data directory when the process dies now.
func killed(t *testing.T, dir string) string {
	t.Helper()
	left := filepath.Join(t.TempDir(), "left")
	require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
	return left
}

// DB-47: with a data directory offsets, positions and everything acknowledged survive a restart.
func TestDB47SurvivesCloseAndKill(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]bool{"closed": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			left, outer := dir, t
			life(t, dir, func(t *testing.T, c *client) {
				p := c.producer(orders, "p", reliable)
				r := c.consume(orders, "s", "c", shared)
				c.subscribe(orders, "behind", "c", exclusive)
				p.send(numbers(0, 20)...)
				came := r.came(time.Millisecond)
				require.Len(t, came, 10)
				for _, i := range []int{0, 1, 4, 5, 8} { // out of order: 2, 3, 6, 7 stay behind
					r.ack(came[i])
				}
				time.Sleep(time.Second) // positions are written a moment later
				if kill {
					left = killed(outer, dir)
				}
			})
			life(t, left, func(t *testing.T, c *client) {
				stats, ok := c.broker.Subscription(orders, "s")
				require.True(t, ok)
				require.Equal(t, shared, stats.Type)
				require.Equal(t, 15, stats.Backlog)
				r := c.consume(orders, "s", "c", exclusive)
				stats, _ = c.broker.Subscription(orders, "s")
				require.Equal(t, shared, stats.Type, "the type is the subscription's")
				r.consumeAll("m002", "m003", "m006", "m007")
				r.consumeAll(numbers(9, 20)...)
				c.producer(orders, "p", reliable).send("m020")
				require.Equal(t, uint64(20), offset(r.expect("m020")), "offsets go on")
				all := c.consume(orders, "behind", "c", exclusive)
				all.consumeAll(numbers(0, 21)...)
			})
		})
	}
}

func TestDataDirKeepsSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	policy := &adminpb.SubscriptionFailurePolicy{
		MaxRedeliveryCount: 3, AckTimeoutMs: 700, BaseRedeliveryDelayMs: 20, MaxRedeliveryDelayMs: 40,
		PoisonPolicy: adminpb.SubscriptionPoisonPolicy_DeadLetter, DeadLetterTopic: proto.String("/mine/dead"),
	}
	left, outer := "", t
	life(t, dir, func(t *testing.T, c *client) {
		_, err := c.namespaces.CreateNamespace(c.ctx, &adminpb.NamespaceRequest{Name: "mine"})
		require.NoError(t, err)
		for name, strategy := range map[string]adminpb.DispatchStrategy{
			orders: adminpb.DispatchStrategy_Reliable, "/mine/plain": adminpb.DispatchStrategy_NonReliable, "/mine/gone": adminpb.DispatchStrategy_Reliable,
		} {
			_, err := c.topics.CreateTopic(c.ctx, &adminpb.NewTopicRequest{Name: name, DispatchStrategy: strategy})
			require.NoError(t, err)
		}
		c.producer("/mine/gone", "p", reliable).send("x")
		_, err = c.topics.SetSubscriptionFailurePolicy(c.ctx, &adminpb.SetSubscriptionFailurePolicyRequest{Topic: orders, Subscription: "s", FailurePolicy: policy})
		require.NoError(t, err)
		_, err = c.topics.SetSubscriptionDispatchConfig(c.ctx, &adminpb.SetSubscriptionDispatchConfigRequest{
			Topic: orders, Subscription: "s", DispatchConfig: &adminpb.SubscriptionDispatchConfig{MaxUnackedMessages: 3},
		})
		require.NoError(t, err)
		c.subscribe(orders, "s", "c", exclusive)
		c.consume(orders, "removed", "c", exclusive).close()
		time.Sleep(time.Millisecond)
		_, err = c.topics.Unsubscribe(c.ctx, &adminpb.SubscriptionRequest{Topic: orders, Subscription: "removed"})
		require.NoError(t, err)
		_, err = c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: "/mine/gone"})
		require.NoError(t, err)
		left = killed(outer, dir) // what was answered is there at once
	})
	life(t, left, func(t *testing.T, c *client) {
		require.Equal(t, []string{orders, "/mine/plain"}, c.broker.Topics())
		got, err := c.topics.GetSubscriptionFailurePolicy(c.ctx, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: orders, Subscription: "s"})
		require.NoError(t, err)
		require.True(t, proto.Equal(policy, got.GetFailurePolicy()), "%v", got)
		require.Equal(t, int32(exclusive), got.GetSubscriptionType())
		_, removed := c.broker.Subscription(orders, "removed")
		require.False(t, removed)
		c.producer(orders, "p", reliable).send(numbers(0, 5)...)
		require.Len(t, c.consume(orders, "s", "c", exclusive).came(time.Millisecond), 3)
		c.producer("/mine/gone", "p", reliable).send("y")
		require.Equal(t, 1, c.broker.Published("/mine/gone"), "a deleted topic leaves nothing to a new one of its name")
		c.producer("/mine/plain", "p", nonReliable)
	})
}

func TestDataDirRestartOfTheBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	life(t, dir, func(t *testing.T, c *client) {
		c.producer(orders, "p", reliable).send(numbers(0, 5)...)
		c.subscribe(orders, "s", "c", exclusive)
		c.broker.Restart(true)
		require.Equal(t, 5, c.broker.Published(orders))
		c.broker.Restart(false)
		require.Empty(t, c.broker.Topics())
	})
	life(t, dir, func(t *testing.T, c *client) {
		require.Empty(t, c.broker.Topics(), "a restart without memory empties the data directory too")
		left, err := os.ReadDir(filepath.Join(dir, "topics"))
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

func TestDataDirHoldsMoreThanMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n = 200
	opts := []danubetest.Option{danubetest.Memory(64 << 10), danubetest.History(0)}
	check := func(t *testing.T, c *client, first int) {
		r := c.consume(orders, "s", "c", exclusive)
		for i := first; i < n; i++ {
			m := r.next()
			require.Equal(t, uint64(i), offset(m))
			require.Equal(t, strings.Repeat(fmt.Sprint(i%10), 4<<10), string(m.GetPayload()))
			r.ack(m)
			if i == first+n/3 {
				return
			}
		}
	}
	life(t, dir, func(t *testing.T, c *client) {
		c.producer(orders, "p", reliable)
		c.subscribe(orders, "s", "c", exclusive)
		p := c.producer(orders, "p", reliable)
		for i := range n {
			p.send(strings.Repeat(fmt.Sprint(i%10), 4<<10))
		}
		check(t, c, 0)
	}, opts...)
	life(t, dir, func(t *testing.T, c *client) { check(t, c, n/3+1) }, opts...)
}

func TestDataDirRemovesWhatAllHavePassed(t *testing.T) {
	t.Parallel()
	const n, size = 40, 1 << 20 // files of 16 MiB
	for name, tt := range map[string]struct {
		opt  danubetest.Option
		most int64
		kept int64
	}{
		"by default":   {opt: danubetest.Retention(0, 0), most: 17 << 20},
		"within bytes": {opt: danubetest.Retention(30<<20, 0), most: 33 << 20, kept: 17 << 20},
		"young":        {opt: danubetest.Retention(0, time.Hour), most: 42 << 20, kept: 40 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			life(t, dir, func(t *testing.T, c *client) {
				p := c.producer(orders, "p", reliable)
				r := c.consume(orders, "s", "c", exclusive)
				for range n {
					p.send(strings.Repeat("x", size))
					r.ack(r.next())
				}
				time.Sleep(time.Minute)
				require.LessOrEqual(t, bytesIn(t, dir), tt.most)
				require.GreaterOrEqual(t, bytesIn(t, dir), tt.kept)
			}, tt.opt, danubetest.History(0))
		})
	}
}

// bytesIn is the size of the message files.
func bytesIn(t *testing.T, dir string) (n int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "topics", "*", "*.seg"))
	require.NoError(t, err)
	for _, f := range files {
		info, err := os.Stat(f)
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

func TestDataDirThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	life(t, dir, func(t *testing.T, c *client) {
		c.producer(orders, "p", reliable)
		c.subscribe(orders, "s", "c", exclusive)
		c.producer(orders, "p", reliable).send(numbers(0, 100)...)
		_, err := danubetest.New(danubetest.DataDir(dir))
		require.ErrorContains(t, err, fmt.Sprintf("is in use by process %d", os.Getpid()))
		require.ErrorIs(t, err, danubetest.ErrDataDir)
	})
	segment, err := filepath.Glob(filepath.Join(dir, "topics", "*", "*.seg"))
	require.NoError(t, err)
	require.Len(t, segment, 1)
	relative, err := filepath.Rel(dir, segment[0])
	require.NoError(t, err)
	whole, err := os.ReadFile(segment[0])
	require.NoError(t, err)

	for name, spoil := range map[string]func(t *testing.T, dir string) (want string){
		"flipped": func(t *testing.T, dir string) string {
			b := append([]byte(nil), whole...)
			b[len(b)/2] ^= 1
			require.NoError(t, os.WriteFile(filepath.Join(dir, relative), b, 0o600))
			return "log is damaged: " + filepath.Join(dir, relative)
		},
		"cut after a crash": func(t *testing.T, dir string) string {
			require.NoError(t, os.WriteFile(filepath.Join(dir, relative), whole[:len(whole)-1], 0o600))
			require.NoError(t, os.Remove(filepath.Join(dir, filepath.Dir(relative), "closed")))
			return "record 99: it is longer than what is left"
		},
		"without state": func(t *testing.T, dir string) string {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "state")))
			return "state/ is empty"
		},
		"without messages": func(t *testing.T, dir string) string {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, filepath.Dir(relative))))
			return "100 records were safe"
		},
		"a file": func(t *testing.T, dir string) string {
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
			return "not a directory"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			copied := killed(t, dir)
			want := spoil(t, copied)
			_, err := danubetest.New(danubetest.DataDir(copied))
			require.ErrorContains(t, err, want)
			_, err = danubetest.New(danubetest.DataDir(copied))
			require.ErrorContains(t, err, want, "nothing is mended by trying twice, and the lock is free")
		})
	}
}

// A file that is damaged in the middle is found by who reads it: that subscription stops, and all else goes on.
func TestDataDirDamagedInTheMiddle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n, size = 40, 1 << 20
	opts := []danubetest.Option{danubetest.History(0)}
	life(t, dir, func(t *testing.T, c *client) {
		c.producer(orders, "p", reliable)
		c.subscribe(orders, "s", "c", exclusive)
		p := c.producer(orders, "p", reliable)
		for range n {
			p.send(strings.Repeat("x", size))
		}
	}, opts...)
	files, err := filepath.Glob(filepath.Join(dir, "topics", "*", "*.seg"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	f, err := os.OpenFile(files[1], os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("damage"), 5<<20)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	var logged strings.Builder
	opts = append(opts, danubetest.Logger(slog.New(slog.NewTextHandler(&logged, nil))))
	life(t, dir, func(t *testing.T, c *client) {
		r := c.consume(orders, "s", "c", exclusive)
		got := 0
		for {
			came := r.came(time.Millisecond)
			if len(came) == 0 {
				break
			}
			for _, m := range came {
				require.Equal(t, uint64(got), offset(m))
				got++
				r.ack(m)
			}
		}
		require.Less(t, got, n)
		require.Contains(t, logged.String(), files[1])
		require.Contains(t, logged.String(), fmt.Sprintf("offset=%d", got))
		c.producer(orders, "p", reliable).send("y")
		stats, _ := c.broker.Subscription(orders, "s")
		require.Equal(t, n+1-got, stats.Backlog)
		r.quiet(time.Hour)
	}, opts...)
}

func TestDataDirOptions(t *testing.T) {
	t.Parallel()
	_, err := danubetest.New(danubetest.DataDir(""))
	require.ErrorContains(t, err, "no name")
	_, err = danubetest.New(danubetest.Retention(-1, 0))
	require.ErrorContains(t, err, "negative")
}

// What is published to a topic whose files cannot be written is refused, and what was there stays.
func TestDataDirWithoutPlaceForATopic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	life(t, dir, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		p.send("m000")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "topics", "2"), nil, 0o600))
		_, err := c.CreateProducer(c.ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: "/default/other", DispatchStrategy: reliable})
		requireStatus(t, err, codes.Unavailable, "topic /default/other cannot be stored")
		require.Equal(t, []string{orders}, c.broker.Topics())
		p.send("m001")
	})
}
