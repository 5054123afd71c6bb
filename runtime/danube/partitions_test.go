package danube

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// parts are names of partitions of orders.
func parts(numbers ...int) []string {
	var names []string
	for _, i := range numbers {
		names = append(names, nameOf(orders, i))
	}
	return names
}

// registering starts to register a producer, which ends with the test, and gives a place where the outcome comes.
func registering(t *testing.T, c *Client, partitions int) (*Producer, <-chan error) {
	t.Helper()
	p, err := c.NewProducer(ProducerSettings{Topic: orders, Name: "p", Partitions: partitions, Reliable: true})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	done := make(chan error, 1)
	go func() { done <- p.Register(t.Context()) }()
	return p, done
}

func TestAProducerAndItsTopicMeanTheSamePartitions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		exist []string
		want  int
		text  string // of the error, empty for none
		mend  string
	}{
		"new plain topic":    {nil, 0, "", ""},
		"new partitions":     {nil, 3, "", ""},
		"plain":              {parts(-1), 0, "", ""},
		"as many":            {parts(0, 1, 2), 3, "", ""},
		"as many, past nine": {parts(0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9), 11, "", ""},
		"T-20":               {[]string{orders + "-dlq", orders + "-part-x", orders + "-part-0-part-1", orders + "-part-01"}, 2, "", ""},
		"plain, not wanted":  {parts(-1), 2, "the topic has no partitions and the producer is to use 2", "set partitions to 0"},
		"none wanted":        {parts(0, 1), 0, "the topic has 2 partitions and the producer is to use 0", "set partitions to 2"},
		"too many":           {parts(0, 1, 2, 3), 3, "the topic has 4 partitions and the producer is to use 3", "set partitions to 4"},
		"too few":            {parts(0, 1), 4, "the topic has 2 partitions and the producer is to use 4", "set partitions to 2, or create the others"},
		"too few, with gaps": {parts(3), 4, "the topic has partitions up to 3 without 0-2", "create the others"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCluster(t, "one:6650")
				b.topics = slices.Clone(tt.exist)
				start := time.Now()
				_, done := registering(t, b.client("one:6650"), tt.want)
				err := <-done
				if tt.text == "" {
					require.NoError(t, err)
					for i := range tt.want {
						require.Contains(t, b.topics, PartitionName(orders, i))
					}
					return
				}
				require.ErrorIs(t, err, ErrMismatch)
				require.True(t, IsPermanent(err))
				require.ErrorContains(t, err, tt.text)
				require.ErrorContains(t, err, tt.mend)
				require.Equal(t, tt.exist, b.topics, "nothing was created")
				if strings.HasPrefix(name, "too few") {
					require.LessOrEqual(t, time.Since(start), creationTime+reconnect.Max)
					return
				}
				require.Zero(t, time.Since(start), "waiting cannot mend it")
				require.NotContains(t, err.Error(), "create the others")
			})
		})
	}
}

func TestPartitionsThatAnotherMakesAreWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, "one:6650")
		b.topics = parts(0)
		p, done := registering(t, b.client("one:6650"), 4)
		for i := 1; i < 4; i++ {
			time.Sleep(creationTime * 3 / 4)
			require.ErrorIs(t, p.Health(), ErrMismatch)
			require.False(t, IsPermanent(p.Health()))
			b.set(func() { b.topics = append(b.topics, PartitionName(orders, i)) })
		}
		require.NoError(t, <-done)
	})
}

func TestAProducerMakesAllPartitionsBeforeItUsesOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, "one:6650")
		late := map[string]bool{}
		b.admit = func(s seen) error {
			if s.method != seenCreate || len(late) == 3 {
				return nil
			}
			name := PartitionName(orders, len(late))
			late[name] = true
			b.set(func() { b.topics = append(b.topics, name) })
			return status.Error(codes.Unavailable, metadataCreated)
		}
		p, err := b.client("one:6650").NewProducer(ProducerSettings{Topic: orders, Name: "p", Partitions: 3, Reliable: true})
		require.NoError(t, err)
		t.Cleanup(p.Close)
		start := time.Now()
		require.NoError(t, p.SendTo(t.Context(), 2, Message{}))
		require.Equal(t, parts(0, 1, 2), b.topics)
		require.Zero(t, time.Since(start), "a cluster's answer to a new partition does not hold up the next")

		// A broker that lost its memory gets all of them again, though only one is used.
		b.set(func() {
			b.topics = nil
			lost := true
			b.admit = func(s seen) error {
				if s.method == seenSend && lost {
					lost = false
					return status.Error(codes.NotFound, "The producer with id 1 does not exist")
				}
				return nil
			}
		})
		require.NoError(t, p.SendTo(t.Context(), 2, Message{}))
		require.Equal(t, parts(0, 1, 2), b.topics)

		// Partitions that are added later are none of its business until it starts again.
		b.set(func() {
			b.topics = append(b.topics, PartitionName(orders, 3))
			lost := true
			b.admit = func(s seen) error {
				if s.method == seenSend && lost {
					lost = false
					return moved
				}
				return nil
			}
		})
		require.NoError(t, p.SendTo(t.Context(), 2, Message{}))
	})
}

func TestWithoutTheRightToListPartitionsTheirNumberIsNotChecked(t *testing.T) {
	t.Parallel()
	b := newCluster(t, "one:6650")
	b.topics = parts(0, 1, 2, 3)
	b.admit = func(s seen) error {
		if s.method == seenPartitions {
			return status.Error(codes.PermissionDenied, "no binding grants Lookup on Topic(/default/orders) for service_account:app")
		}
		return nil
	}
	_, done := registering(t, b.client("one:6650"), 2)
	require.NoError(t, <-done)
}

func TestT20NewPartitionsAreFoundAndForeignTopicsAreNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		b := newCluster(t, "one:6650")
		b.topics = append(parts(0), orders+"-dlq")
		k, err := b.client("one:6650", WithLogger(zap.New(core))).NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
		require.NoError(t, err)
		defer k.Close()
		time.Sleep(time.Second)
		b.set(func() {
			b.topics = append(b.topics, append(parts(1, 3), orders+"-part-1x", orders+"2", orders+"-part-2-dlq")...)
		})
		first := time.Now()
		for i := range 3 {
			d, err := k.Receive(t.Context())
			require.NoError(t, err)
			require.Contains(t, []int{0, 1, 3}, d.Partition, "message %d", i)
		}
		require.Greater(t, time.Since(first), defaultRediscover/3)
		require.Less(t, time.Since(first), 2*defaultRediscover)
		require.NoError(t, k.Health())
		b.set(func() {
			b.admit = func(s seen) error {
				if s.method == seenPartitions {
					return status.Error(codes.Internal, "metadata store")
				}
				return nil
			}
		})
		time.Sleep(3 * defaultRediscover)
		require.NoError(t, k.Health())
		b.set(func() {
			b.admit = nil
			b.topics = append(b.topics, parts(2)...)
		})
		d, err := k.Receive(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, d.Partition)
		time.Sleep(3 * defaultRediscover)
		slices.Sort(b.subscribed)
		require.Equal(t, parts(0, 1, 2, 3), b.subscribed, "each once")
		gaps := logs.FilterMessageSnippet("without gaps").All()
		require.Len(t, gaps, 2, "told when it comes and when it goes")
		require.Equal(t, "2", gaps[0].ContextMap()["missing"])
	})
}

func TestRediscoveryCanBeSetAndSwitchedOff(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		every     time.Duration
		low, high int // looks in an hour
	}{
		"default": {0, 80, 240}, "minutes": {10 * time.Minute, 4, 12}, "never": {-1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCluster(t, "one:6650")
				b.topics = parts(-1)
				k, err := b.client("one:6650").NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c", Rediscover: tt.every})
				require.NoError(t, err)
				time.Sleep(time.Hour)
				k.Close()
				looks := len(b.seen(seenPartitions))
				require.GreaterOrEqual(t, looks, tt.low)
				require.LessOrEqual(t, looks, tt.high)
			})
		})
	}
}

func TestMissingIn(t *testing.T) {
	t.Parallel()
	for want, numbers := range map[string][]int{"": {0, 1, 2}, "0": {1}, "1, 3-5": {0, 2, 6}, "0-1999999999": {2_000_000_000}} {
		require.Equal(t, want, missingIn(numbers))
	}
	require.Empty(t, missingIn([]int{-1}))
	require.Empty(t, missingIn(nil))
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "orders-to-mongodb", "host.example:1", "größe", "with space"} {
		require.NoError(t, CheckName("consumer", good), good)
	}
	for bad, want := range map[string]string{
		"": "is empty", "a/b": "slash", " a": "white space", "a\n": "control character", "a\x00b": "control character", "\xff": "UTF-8",
		strings.Repeat("x", 256): "at most 255",
	} {
		for what, err := range map[string]error{
			"subscription": errOfConsumer(t, ConsumerSettings{Topic: orders, Subscription: bad, Name: "c"}),
			"consumer":     errOfConsumer(t, ConsumerSettings{Topic: orders, Subscription: "s", Name: bad}),
			"producer":     errOfProducer(t, ProducerSettings{Topic: orders, Name: bad}),
		} {
			require.ErrorIs(t, err, ErrName, "%q", bad)
			require.ErrorContains(t, err, what+" name")
			require.ErrorContains(t, err, want)
		}
	}
	require.ErrorIs(t, errOfProducer(t, ProducerSettings{Topic: "orders", Name: "p"}), ErrName)
	require.ErrorIs(t, errOfConsumer(t, ConsumerSettings{Topic: "/a/b-part-1", Subscription: "s", Name: "c"}), ErrName)
}

func TestKeyFilters(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckKeyFilters(KeyShared, []string{"*", "user-?", "größe", "a b"}))
	require.NoError(t, CheckKeyFilters(Exclusive, nil))
	for bad, want := range map[string]string{
		"": "write * for all", "user-[0-9]": "write ?", "{a,b}": "write ?", `a\*`: "write ?", "\xff": "UTF-8", strings.Repeat("*", 256): "at most 255",
	} {
		err := errOfConsumer(t, ConsumerSettings{Topic: orders, Subscription: "s", Name: "c", Type: KeyShared, KeyFilters: []string{"ok", bad}})
		require.ErrorIs(t, err, ErrName, "%q", bad)
		require.ErrorContains(t, err, want)
	}
	err := errOfConsumer(t, ConsumerSettings{Topic: orders, Subscription: "s", Name: "c", Type: Shared, KeyFilters: []string{"*"}})
	require.ErrorContains(t, err, "no effect on Shared subscriptions")
}

func errOfConsumer(t *testing.T, s ConsumerSettings) error {
	t.Helper()
	c, err := New("http://localhost:1")
	require.NoError(t, err)
	k, err := c.NewConsumer(s)
	if err == nil {
		k.Close()
	}
	return err
}

func errOfProducer(t *testing.T, s ProducerSettings) error {
	t.Helper()
	c, err := New("http://localhost:1")
	require.NoError(t, err)
	_, err = c.NewProducer(s)
	return err
}

func TestAConsumerSaysThatItWaitsForItsTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, "one:6650")
		b.topics = []string{orders + "-dlq"} // found by its beginning, and no partition
		k, err := b.client("one:6650").NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
		require.NoError(t, err)
		defer k.Close()
		time.Sleep(time.Minute)
		require.ErrorIs(t, k.Health(), ErrNoTopic)
		require.ErrorIs(t, k.Health(), ErrNotFound)
		require.ErrorContains(t, k.Health(), "the topic does not exist yet (NotFound); start its producer, or create it")
		require.Empty(t, b.subscribed)
		b.set(func() { b.topics = append(b.topics, orders) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = k.Receive(ctx)
		require.NoError(t, err)
	})
}
