package danubetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// eachEnd runs a test twice: reopened gives it the folder after the process was closed, or what a kill left of it.
func eachEnd(t *testing.T, test func(t *testing.T, run func(part func(*testing.T, *client))), opts ...danubetest.Option) {
	t.Helper()
	for name, kill := range map[string]bool{"closed": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			test(t, func(part func(*testing.T, *client)) {
				next := dir
				life(t, dir, func(inner *testing.T, c *client) {
					part(inner, c)
					if kill {
						next = killed(t, dir)
					}
				}, append([]danubetest.Option{patientPolicy()}, opts...)...)
				dir = next
			})
		})
	}
}

func TestDB66FlushLossOfAProcess(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, run func(func(*testing.T, *client))) {
		run(func(t *testing.T, c *client) {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			time.Sleep(11 * time.Second)
			p.send("old0")
			r.ack(r.next()) // stores the cursor
			time.Sleep(6 * time.Second)
			r.close()
			p.send("flushed")
			time.Sleep(6 * time.Second)
			p.send("lost")
			time.Sleep(time.Second)
		})
		run(func(t *testing.T, c *client) {
			require.Equal(t, 0, c.broker.Published(orders), "offsets begin at 0")
			_, known := c.broker.Subscription(orders, "s")
			require.False(t, known, "a subscription is a cursor and a policy")
			r := c.consume(orders, "s", "c", exclusive)
			p := c.producer(orders, "p", reliable)
			require.Equal(t, "[flushed]", p.nextTo(r, "m000"))
			require.Equal(t, "[]", p.nextTo(r, "m001"))
			require.Equal(t, "[m002]", p.nextTo(r, "m002"))
		})
	}, danubetest.Imitate("v0.15"))
}

// Without the trap flush-loss everything that was acknowledged is there, however the process ended.
func TestOffsetsRestartWithoutFlushLoss(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, run func(func(*testing.T, *client))) {
		run(func(t *testing.T, c *client) {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			p.send(numbers(0, 5)...)
			r.ack(r.next())
			r.ack(r.next())
			time.Sleep(time.Second)
		})
		run(func(t *testing.T, c *client) {
			r := c.consume(orders, "s", "c", exclusive)
			p := c.producer(orders, "p", reliable)
			var got []string
			for i := range 6 {
				got = append(got, p.nextTo(r, fmt.Sprint("new", i)))
			}
			require.Equal(t, says("[m002]", "[]", "[]", "[m003]", "[m004]", "[new5]"), got)
		})
	}, danubetest.Trap("offsets-restart"))
}

func TestDB66CursorsOfAProcess(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, run func(func(*testing.T, *client))) {
		run(func(t *testing.T, c *client) {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			p.send(numbers(0, 3)...)
			r.ack(r.next()) // too early for a cursor
			time.Sleep(11 * time.Second)
		})
		run(func(t *testing.T, c *client) {
			r := c.consume(orders, "s", "c", exclusive)
			require.Equal(t, "[new0]", c.producer(orders, "p", reliable).nextTo(r, "new0"), "without a cursor it starts at the newest")
		})
	}, danubetest.Imitate("v0.15"))
}

// flushed 0 to 19, acknowledged 0 to 13, stored cursor 12.
func TestDB67OffsetsRestartOfAProcess(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, run func(func(*testing.T, *client))) {
		run(func(t *testing.T, c *client) { oneLife(t, c) })
		run(func(t *testing.T, c *client) {
			r := c.consume(orders, "s", "c", shared) // the first comer chooses the type
			fresh := c.consume(orders, "fresh", "c", exclusive)
			p := c.producer(orders, "p", reliable)
			require.Empty(t, r.came(5*time.Second))
			for i := range 26 {
				text := fmt.Sprint("new", i)
				want := fmt.Sprintf("[%s]", text)
				switch {
				case i == 0:
					want = "[old13]"
				case i < 14:
					want = "[]"
				case i < 20:
					want = fmt.Sprintf("[old%d]", i)
				}
				require.Equal(t, want, p.nextTo(r, text))
				fresh.consumeAll(text)
			}
		})
	}, danubetest.Imitate("v0.15"))
}

func TestDB68TwoLivesOfAProcess(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts  []danubetest.Option
		first string
		count int
	}{
		"profile": {opts: []danubetest.Option{danubetest.Imitate("v0.15")}, first: "first13", count: 30},
		"off":     {opts: []danubetest.Option{danubetest.Trap("flush-loss")}, first: "second13", count: 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEnd(t, func(t *testing.T, run func(func(*testing.T, *client))) {
				run(func(t *testing.T, c *client) {
					p := c.producer(orders, "p", reliable)
					for i := range 40 {
						p.send(fmt.Sprint("first", i))
					}
					time.Sleep(6 * time.Second)
				})
				run(func(t *testing.T, c *client) {
					p := c.producer(orders, "p", reliable)
					r := c.consume(orders, "s", "c", exclusive)
					for i := range 12 {
						p.nextTo(r, fmt.Sprint("second", i))
					}
					time.Sleep(11 * time.Second)
					require.Equal(t, "[second12]", p.nextTo(r, "second12")) // stores the cursor
					p.nextTo(r, "second13")
					p.nextTo(r, "second14")
					r.close()
					for i := 15; i < 20; i++ {
						p.send(fmt.Sprint("second", i))
					}
					time.Sleep(6 * time.Second)
				})
				run(func(t *testing.T, c *client) {
					p := c.producer(orders, "p", reliable)
					r := c.consume(orders, "s", "c", exclusive)
					var got []string
					for i := range 43 {
						p.send(fmt.Sprint("third", i))
						for _, m := range r.came(time.Second) {
							got = append(got, string(m.GetPayload()))
							r.ack(m)
						}
					}
					require.Equal(t, tt.first, got[0])
					require.Equal(t, "third42", got[len(got)-1])
					require.Len(t, got, tt.count)
				})
			}, tt.opts...)
		})
	}
}

// A subscription that lived through the start of a process dies of its backlog.
func TestDB69ResumedBacklogOfAProcess(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, run func(func(*testing.T, *client))) {
		run(func(t *testing.T, c *client) {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", exclusive)
			time.Sleep(11 * time.Second)
			p.send("first")
			r.ack(r.next())
			time.Sleep(6 * time.Second)
		})
		run(func(t *testing.T, c *client) {
			r := c.consume(orders, "s", "c", exclusive)
			r.close()
			time.Sleep(time.Second)
			p := c.producer(orders, "p", reliable)
			p.send(numbers(0, 2060)...)
			r = c.consume(orders, "s", "c", exclusive)
			seen := 0
			for came := r.came(time.Second); len(came) > 0; came = r.came(time.Second) {
				for _, m := range came {
					r.ack(m)
					seen++
				}
			}
			require.Equal(t, 1025, seen)
			p.send("after")
			r.quiet(time.Minute)
		})
	}, danubetest.Imitate("v0.15"))
}

func TestImitationKeepsPoliciesAndSchemas(t *testing.T) {
	t.Parallel()
	eachEnd(t, func(t *testing.T, run func(func(*testing.T, *client))) {
		run(func(t *testing.T, c *client) {
			c.producer(orders, "p", reliable)
			c.register("user", "json_schema", userV1)
			_, err := c.topics.SetSubscriptionFailurePolicy(c.ctx, &adminpb.SetSubscriptionFailurePolicyRequest{
				Topic: orders, Subscription: "s", FailurePolicy: &adminpb.SubscriptionFailurePolicy{MaxRedeliveryCount: 7, AckTimeoutMs: 1000, PoisonPolicy: adminpb.SubscriptionPoisonPolicy_Drop},
			})
			require.NoError(t, err)
			_, err = c.topics.DeleteTopic(c.ctx, &adminpb.TopicRequest{Name: orders})
			require.NoError(t, err)
			c.producer(orders, "p", reliable).send("m000")
			_, err = c.topics.SetSubscriptionFailurePolicy(c.ctx, &adminpb.SetSubscriptionFailurePolicyRequest{
				Topic: orders, Subscription: "s", FailurePolicy: &adminpb.SubscriptionFailurePolicy{MaxRedeliveryCount: 9, AckTimeoutMs: 1000, PoisonPolicy: adminpb.SubscriptionPoisonPolicy_Drop},
			})
			require.NoError(t, err)
		})
		run(func(t *testing.T, c *client) {
			require.Equal(t, []string{orders}, c.broker.Topics())
			got, err := c.topics.GetSubscriptionFailurePolicy(c.ctx, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: orders, Subscription: "s"})
			require.NoError(t, err)
			require.Equal(t, uint32(9), got.GetFailurePolicy().GetMaxRedeliveryCount())
			require.Equal(t, uint64(1), c.latest("user").GetSchemaId())
		})
	}, danubetest.Imitate("v0.15"))
}

func TestDB76MetadataLimitOfAProcess(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]bool{"closed": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			trap := danubetest.Trap("metadata-limit")
			for _, minutes := range []int{40, 25, 10} {
				next := dir
				life(t, dir, func(inner *testing.T, c *client) {
					c.producer(orders, "p", reliable)
					time.Sleep(time.Duration(minutes)*time.Minute + time.Second)
					got, err := adminpb.NewClusterAdminClient(c.admin).ClusterStatus(c.ctx, &adminpb.Empty{})
					require.NoError(inner, err)
					if minutes == 25 {
						require.InDelta(inner, 14*65+8, got.GetLastApplied(), 20)
					}
					if kill {
						next = killed(t, dir)
					}
				}, trap)
				dir = next
			}
			for range 2 {
				_, err := danubetest.New(danubetest.DataDir(dir), trap)
				require.ErrorContains(t, err, "Failed to get log entries, expected index: [0, 64), got [None, None)")
				require.ErrorIs(t, err, danubetest.ErrDataDir)
			}
			life(t, dir, func(t *testing.T, c *client) {
				require.Equal(t, []string{orders}, c.broker.Topics(), "without the trap it starts")
			}, danubetest.Trap("offsets-restart"))
		})
	}
}

func TestDataDirOfAnotherKind(t *testing.T) {
	t.Parallel()
	friendly, treacherous := t.TempDir(), t.TempDir()
	use := func(t *testing.T, c *client) { c.producer(orders, "p", reliable).send("m000") }
	life(t, friendly, use)
	life(t, treacherous, use, danubetest.Imitate("v0.15"))
	_, err := danubetest.New(danubetest.DataDir(friendly), danubetest.Imitate("v0.15"))
	require.ErrorContains(t, err, "switch the trap offsets-restart off, or name another directory")
	_, err = danubetest.New(danubetest.DataDir(treacherous))
	require.ErrorContains(t, err, "switch the trap offsets-restart on, or name another directory")
	life(t, friendly, func(t *testing.T, c *client) { require.Equal(t, 1, c.broker.Published(orders)) })
	_, err = danubetest.New(danubetest.DataDir(t.TempDir()), danubetest.Imitate("v0.15"), danubetest.Disk(1<<20))
	require.ErrorContains(t, err, "leave out one of them")
}

// Messages that cannot be flushed wait for the next flush.
func TestImitationOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := &smallDisk{}
	disk.room.Store(1 << 20)
	life(t, dir, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		time.Sleep(11 * time.Second)
		p.send("m000")
		r.ack(r.next()) // stores the cursor
		time.Sleep(6 * time.Second)
		disk.room.Store(0)
		p.send("m001", "m002")
		time.Sleep(time.Minute)
		disk.room.Store(1 << 20)
		time.Sleep(6 * time.Second)
	}, danubetest.Imitate("v0.15"), danubetest.Files(disk), patientPolicy())
	life(t, dir, func(t *testing.T, c *client) {
		r := c.consume(orders, "s", "c", exclusive)
		p := c.producer(orders, "p", reliable)
		require.Equal(t, "[m001]", p.nextTo(r, "new0"))
		require.Equal(t, "[]", p.nextTo(r, "new1"))
		require.Equal(t, "[m002]", p.nextTo(r, "new2"))
	}, danubetest.Imitate("v0.15"), patientPolicy())
}
