package danube_test

import (
	"context"
	"crypto/x509"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// create makes a reliable topic.
func (l *lab) create(name string, partitions int) {
	l.Helper()
	require.NoError(l, l.admin.CreateTopic(l.ctx, danube.NewTopic{Name: name, Partitions: partitions, Reliable: true}))
}

// consume opens an Exclusive subscription s of a topic and returns when its streams are open.
func (l *lab) consume(topic string) *danube.Consumer {
	l.Helper()
	k, err := l.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: "s", Name: "c"})
	require.NoError(l, err)
	l.Cleanup(k.Close)
	for k.Health() != nil {
		time.Sleep(time.Millisecond)
	}
	return k
}

func TestAdminTopics(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		l.create("default/orders", 12)
		l.create("/default/ticks", 0)
		require.NoError(l, l.admin.CreateNamespace(l.ctx, "/other/"))
		require.NoError(l, l.admin.CreateTopic(l.ctx, danube.NewTopic{Name: "/other/a", Partitions: 1}))
		all, err := l.admin.Topics(l.ctx, "")
		require.NoError(l, err)
		require.Len(l, all, 3)
		require.Equal(l, "/default/orders", all[0].Name)
		require.Equal(l, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, all[0].Partitions, "in order of numbers")
		require.Equal(l, "/default/orders-part-11", all[0].Names()[11])
		require.True(l, all[0].Reliable)
		require.Equal(l, []string{"/default/ticks"}, all[1].Names())
		require.Equal(l, []int{0}, all[2].Partitions)
		require.False(l, all[2].Reliable)
		some, err := l.admin.Topics(l.ctx, "/other")
		require.NoError(l, err)
		require.Equal(l, all[2:], some)
		some, err = l.admin.Topics(l.ctx, "system")
		require.NoError(l, err)
		require.Empty(l, some)
		_, err = l.admin.Topics(l.ctx, "nowhere")
		requireRefused(l, err, danube.ErrNotFound, "list topics of namespace nowhere: there is no such namespace")

		require.NoError(l, l.admin.DeleteTopic(l.ctx, "default/orders"))
		require.Equal(l, []string{"/default/ticks", "/other/a-part-0"}, l.broker.Topics())
	})
}

func TestAdminTopicsThatCannotBe(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		create := func(name string, partitions int) error {
			return l.admin.CreateTopic(l.ctx, danube.NewTopic{Name: name, Partitions: partitions, Reliable: true})
		}
		l.create("/default/orders", 2)
		l.create("/default/ticks", 0)
		requireRefused(l, create("/default/orders", 3), danube.ErrExists, "it has 2 partitions")
		requireRefused(l, create("/default/ticks", 0), danube.ErrExists, "create topic /default/ticks: topic /default/ticks already exists")
		requireRefused(l, create("/nowhere/orders", 0), danube.ErrNotFound, "Unable to find the namespace nowhere")
		requireRefused(l, create("orders", 0), danube.ErrName, "is not of the form /namespace/topic")
		requireRefused(l, create("/default/a-part-1", 0), danube.ErrName, "the broker reserves")
		require.True(l, danube.IsPermanent(create("/default/a", -1)))
		err := l.admin.CreateTopic(l.ctx, danube.NewTopic{Name: "/default/b", SchemaSubject: "none"})
		requireRefused(l, err, danube.ErrNotFound, "none not found in registry")

		requireRefused(l, l.admin.DeleteTopic(l.ctx, "/default/order"), danube.ErrNotFound, "delete topic /default/order: there is no such topic")
		requireRefused(l, l.admin.DeleteTopic(l.ctx, "/default/orders-part-1"), danube.ErrName, "delete /default/orders")
		requireRefused(l, l.admin.DeleteTopic(l.ctx, "orders"), danube.ErrName, "is not of the form")
	})
}

func TestT20AShorterNameIsCreatedFirst(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		l.create("/default/orders-dlq", 0)
		err := l.admin.CreateTopic(l.ctx, danube.NewTopic{Name: "/default/orders", Reliable: true})
		requireRefused(l, err, danube.ErrNameBlocked, "one whose name begins like that")
		require.NotErrorIs(l, err, danube.ErrExists)
	}, danubetest.Imitate("v0.15"))
}

func TestAdminDescribesATopic(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		r := l.register(orderV1)
		require.NoError(l, l.admin.CreateTopic(l.ctx, danube.NewTopic{Name: topic, Partitions: 2, Reliable: true, SchemaSubject: "order"}))
		l.consume(topic)
		about, err := l.admin.DescribeTopic(l.ctx, topic)
		require.NoError(l, err)
		require.Equal(l, topic, about.Name)
		require.Equal(l, []int{0, 1}, about.Partitions)
		require.Equal(l, []string{"s"}, about.Subscriptions)
		require.Equal(l, danube.TopicSubject{
			Subject: "order", ID: r.ID, Version: 1, Type: danube.SchemaJSON, Compatibility: danube.CompatibleBackward,
		}, *about.Schema)
		about, err = l.admin.DescribeTopic(l.ctx, topic+"-part-1")
		require.NoError(l, err)
		require.Equal(l, []string{topic + "-part-1"}, about.Names())
		_, err = l.admin.DescribeTopic(l.ctx, "/default/order")
		requireRefused(l, err, danube.ErrNotFound, "describe topic /default/order: there is no such topic")
	})
}

func TestAdminSubscriptions(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		l.create(topic, 2)
		k := l.consume(topic)
		list, err := l.admin.Subscriptions(l.ctx, topic)
		require.NoError(l, err)
		require.Equal(l, []danube.SubscriptionInfo{{Topic: topic + "-part-0", Name: "s"}, {Topic: topic + "-part-1", Name: "s"}}, list)

		start := time.Now()
		err = l.admin.Unsubscribe(l.ctx, topic, "s")
		require.ErrorIs(l, err, danube.ErrActiveConsumers)
		require.False(l, danube.IsPermanent(err), "the consumer may go away")
		require.InDelta(l, 2, time.Since(start).Seconds(), 0.5)
		impatient, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		err = l.admin.Unsubscribe(impatient, topic, "s")
		require.ErrorIs(l, err, danube.ErrActiveConsumers)
		require.ErrorIs(l, err, context.DeadlineExceeded)

		go func() {
			time.Sleep(time.Second)
			k.Close()
		}()
		require.NoError(l, l.admin.Unsubscribe(l.ctx, topic, "s"), "it waits for the consumer to be gone")
		list, err = l.admin.Subscriptions(l.ctx, topic)
		require.NoError(l, err)
		require.Empty(l, list)
		requireRefused(l, l.admin.Unsubscribe(l.ctx, topic, "s"), danube.ErrNotFound, "unsubscribe s from /default/orders: there is no such subscription")
		requireRefused(l, l.admin.Unsubscribe(l.ctx, "/default/order", "s"), danube.ErrNotFound, "there is no such topic")
		_, err = l.admin.Subscriptions(l.ctx, "/default/order")
		requireRefused(l, err, danube.ErrNotFound, "there is no such topic")
	})
}

func TestAdminSettingsOfASubscription(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		l.create(topic, 2)
		_, _, err := l.admin.FailurePolicy(l.ctx, topic, "s")
		requireRefused(l, err, danube.ErrNotFound, "subscription s has no failure policy")
		want := danube.FailurePolicy{
			MaxRedeliveries: math.MaxUint32, AckTimeout: time.Hour, BaseDelay: 5 * time.Millisecond, MaxDelay: time.Second, Fixed: true,
			Poison: danube.PoisonDeadLetter, DeadLetterTopic: "/default/orders-dlq",
		}
		require.NoError(l, l.admin.SetFailurePolicy(l.ctx, topic, "s", want))
		l.consume(topic)
		got, kind, err := l.admin.FailurePolicy(l.ctx, topic, "s")
		require.NoError(l, err)
		require.Equal(l, want, got)
		require.Equal(l, danube.Exclusive, kind)
		window, err := l.admin.Window(l.ctx, topic, "s")
		require.NoError(l, err)
		require.Zero(l, window)
		require.NoError(l, l.admin.SetWindow(l.ctx, topic, "s", 50))
		window, err = l.admin.Window(l.ctx, topic, "s")
		require.NoError(l, err)
		require.Equal(l, 50, window)
		require.NoError(l, l.admin.SetWindow(l.ctx, topic+"-part-1", "s", 60))
		_, err = l.admin.Window(l.ctx, topic, "s")
		require.ErrorContains(l, err, "/default/orders-part-0 has 50 and /default/orders-part-1 has 60")
		require.True(l, danube.IsPermanent(l.admin.SetWindow(l.ctx, topic, "s", 0)))

		for text, change := range map[string]func(*danube.FailurePolicy){
			"would mean one every 500 ms": func(p *danube.FailurePolicy) { p.AckTimeout = 0 },
			"-1s is negative":             func(p *danube.FailurePolicy) { p.MaxDelay = -time.Second },
			"needs a dead-letter topic":   func(p *danube.FailurePolicy) { p.DeadLetterTopic = "" },
			"3 is not a poison policy":    func(p *danube.FailurePolicy) { p.Poison = 3 },
		} {
			p := want
			change(&p)
			err := l.admin.SetFailurePolicy(l.ctx, topic, "s", p)
			require.ErrorContains(l, err, text)
			require.True(l, danube.IsPermanent(err))
		}
		require.NoError(l, l.admin.CreateTopic(l.ctx, danube.NewTopic{Name: "/default/ticks"}))
		requireRefused(l, l.admin.SetFailurePolicy(l.ctx, "/default/ticks", "s", want), danube.ErrNotReliable, "it keeps no messages")
		requireRefused(l, l.admin.SetFailurePolicy(l.ctx, "/default/order", "s", want), danube.ErrNotFound, "there is no such topic")
	})
}

// An ack timeout of 0 means every 500 ms to the broker, and Unsubscribe takes the policy with it.
func TestT42APolicyIsWhatItsWordsSayUntilUnsubscribe(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		l.create(topic, 0)
		err := l.admin.SetFailurePolicy(l.ctx, topic, "s", danube.FailurePolicy{})
		require.True(l, danube.IsPermanent(err))
		require.ErrorContains(l, err, "for never a long one such as 1h")
		require.NoError(l, l.admin.SetFailurePolicy(l.ctx, topic, "s", danube.FailurePolicy{AckTimeout: time.Hour}))
		l.consume(topic).Close()
		require.NoError(l, l.admin.Unsubscribe(l.ctx, topic, "s"))
		_, _, err = l.admin.FailurePolicy(l.ctx, topic, "s")
		require.ErrorIs(l, err, danube.ErrNotFound, "it has to be set again")
	}, danubetest.Imitate("v0.15"))
}

func TestAdminNamespaces(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		require.NoError(l, l.admin.CreateNamespace(l.ctx, "other"))
		requireRefused(l, l.admin.CreateNamespace(l.ctx, "/other"), danube.ErrExists, "create namespace /other: namespace other already exists")
		requireRefused(l, l.admin.CreateNamespace(l.ctx, "a/b"), danube.ErrName, "write letters")
		names, err := l.admin.Namespaces(l.ctx)
		require.NoError(l, err)
		require.Equal(l, []string{"default", "other", "system"}, names)
		l.create("/other/a", 0)
		requireRefused(l, l.admin.DeleteNamespace(l.ctx, "other"), danube.ErrNotEmpty, "is not empty")
		policies, err := l.admin.NamespacePolicies(l.ctx, "other")
		require.NoError(l, err)
		require.Contains(l, string(policies), `"max_producers_per_topic":0`)
		require.NoError(l, l.admin.DeleteTopic(l.ctx, "/other/a"))
		require.NoError(l, l.admin.DeleteNamespace(l.ctx, "/other/"))
		requireRefused(l, l.admin.DeleteNamespace(l.ctx, "other"), danube.ErrNotFound, "Unable to find the namespace")
		_, err = l.admin.NamespacePolicies(l.ctx, "other")
		requireRefused(l, err, danube.ErrNotFound, "Unable to find the namespace")
	})
}

func TestAdminCluster(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		brokers, err := l.admin.Brokers(l.ctx)
		require.NoError(l, err)
		require.Equal(l, []danube.Broker{{
			ID: "1", URL: l.broker.URL(), AdminURL: l.broker.AdminURL(), Role: "Cluster_Leader", Status: "active",
		}}, brokers)
		l.create(topic, 0)
		status, err := l.admin.ClusterStatus(l.ctx)
		require.NoError(l, err)
		require.Equal(l, uint64(1), status.Leader)
		require.Equal(l, []uint64{1}, status.Voters)
		require.Positive(l, status.MetadataEntries)

		l.broker.Refuse("ListBrokers", codes.Unavailable, 1)
		_, err = l.admin.Brokers(l.ctx)
		require.ErrorContains(l, err, "list brokers of cluster: ListBrokers refused by a test")
		require.False(l, danube.IsPermanent(err))
	})
}

func TestAdminCallsEnd(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		l.broker.Delay("ListBrokers", time.Hour, 2)
		start := time.Now()
		_, err := l.admin.Brokers(l.ctx)
		var e *danube.Error
		require.ErrorAs(l, err, &e)
		require.Equal(l, codes.DeadlineExceeded, e.Code)
		require.False(l, danube.IsPermanent(err))
		require.Equal(l, 5*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		_, err = l.admin.Brokers(ctx)
		require.ErrorIs(l, err, context.DeadlineExceeded)
		require.ErrorContains(l, err, "list brokers of cluster: ")
	})
}

func TestAdminURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"localhost:50051", "ftp://a", "http://", "http://a:b"} {
		_, err := danube.NewAdmin(bad)
		require.ErrorContains(t, err, "for example http://localhost:50051", bad)
	}
	a, err := danube.NewAdmin("http://127.0.0.1:1")
	require.NoError(t, err)
	_, err = a.Topics(t.Context(), "")
	require.ErrorContains(t, err, "connection refused")
	require.False(t, danube.IsPermanent(err))
	require.NoError(t, a.Close())
	_, err = a.Topics(t.Context(), "")
	require.ErrorContains(t, err, "closed")
}

func TestPoisonPolicyNames(t *testing.T) {
	t.Parallel()
	var p danube.PoisonPolicy
	for text, want := range map[string]danube.PoisonPolicy{
		"block": danube.PoisonBlock, "DROP": danube.PoisonDrop, "dead_letter": danube.PoisonDeadLetter, "DeadLetter": danube.PoisonDeadLetter,
	} {
		require.NoError(t, p.UnmarshalText([]byte(text)))
		require.Equal(t, want, p)
	}
	require.EqualError(t, p.UnmarshalText([]byte("skip")), `"skip" is not a poison policy; write one of Block, Drop, DeadLetter`)
	text, err := p.MarshalText()
	require.NoError(t, err)
	require.NoError(t, p.UnmarshalText(text))
}

func TestAdminWithToken(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: []byte("secret"), SuperAdmins: []string{"root"}}
	b := danubetest.Start(t, danubetest.Secure(auth))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(b.RootCA()))
	topics := func(token string) error {
		a, err := danube.NewAdmin(b.AdminURL(), danube.WithRootCAs(roots), danube.WithToken(func(context.Context) (string, error) { return token, nil }))
		require.NoError(t, err)
		defer func() { require.NoError(t, a.Close()) }()
		_, err = a.Topics(t.Context(), "")
		return err
	}
	require.NoError(t, topics(auth.Token("root", time.Minute)))
	for text, token := range map[string]string{"Invalid token": "x", "no binding grants": auth.Token("nobody", time.Minute)} {
		err := topics(token)
		require.ErrorContains(t, err, text)
		require.True(t, danube.IsPermanent(err))
	}
}
