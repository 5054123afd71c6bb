package danube

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

const orders = "/default/orders"

func lookupAnswer(connect, broker string, proxy bool) func(string, string) (*pb.TopicLookupResponse, error) {
	return func(string, string) (*pb.TopicLookupResponse, error) {
		return &pb.TopicLookupResponse{ResponseType: pb.TopicLookupResponse_Redirect, ConnectUrl: connect, BrokerUrl: broker, Proxy: proxy}, nil
	}
}

// publish sends one message with a producer of its own.
func publish(t *testing.T, c *Client) error {
	t.Helper()
	p, err := c.NewProducer(ProducerSettings{Topic: orders, Name: "p", Reliable: true})
	require.NoError(t, err)
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return p.Send(ctx, Message{})
}

func TestCallsThroughAProxyNameTheBrokerAndDiscoveryDoesNot(t *testing.T) {
	t.Parallel()
	b := newCluster(t, "proxy:6650")
	b.topics = []string{orders}
	b.lookup = lookupAnswer("http://proxy:6650/", "http://broker-7:6650/", true)
	c := b.client("proxy:6650")
	require.NoError(t, publish(t, c))
	k, err := c.NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
	require.NoError(t, err)
	defer k.Close()
	d, err := k.Receive(t.Context())
	require.NoError(t, err)
	k.Ack(d)
	require.Eventually(t, func() bool { return len(b.seen(seenAck)) > 0 }, 10*time.Second, time.Millisecond)
	for _, method := range []string{seenCreate, seenSend, seenSubscribe, seenReceive, seenAck} {
		for _, call := range b.seen(method) {
			require.Equal(t, "http://broker-7:6650/", call.first(proxyHeader), method)
		}
		require.NotEmpty(t, b.seen(method), method)
	}
	for _, method := range []string{seenLookup, seenPartitions} {
		for _, call := range b.seen(method) {
			require.Empty(t, call.header.Get(proxyHeader), method)
		}
		require.NotEmpty(t, b.seen(method), method)
	}
	require.Len(t, c.ends, 1, "URLs that differ by a slash are one broker")
}

func TestAProducerFollowsItsTopicToAnotherBroker(t *testing.T) {
	t.Parallel()
	b := newCluster(t, "one:6650", "two:6650")
	b.lookup = lookupAnswer("http://one:6650", "http://one:6650", false)
	c := b.client("one:6650")
	require.NoError(t, publish(t, c))
	p, err := c.NewProducer(ProducerSettings{Topic: orders, Name: "q", Reliable: true})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Send(t.Context(), Message{}))
	b.set(func() {
		b.lookup = lookupAnswer("http://two:6650", "http://two:6650", false)
		b.admit = func(s seen) error {
			if s.broker == "one:6650" && s.method == seenSend {
				return moved
			}
			return nil
		}
	})
	require.NoError(t, p.Send(t.Context(), Message{}))
	sends := b.seen(seenSend)
	require.Equal(t, "one:6650", sends[len(sends)-2].broker)
	require.Equal(t, "two:6650", sends[len(sends)-1].broker)
	require.Empty(t, sends[len(sends)-1].header.Get(proxyHeader))
	for _, call := range b.seen(seenLookup) {
		require.Equal(t, "one:6650", call.broker, "lookups go to the broker that the caller named")
	}
}

func TestAMissingTopicIsMadeByTheBrokerThatTheCallerNamed(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(string, string) (*pb.TopicLookupResponse, error){
		"not found": func(string, string) (*pb.TopicLookupResponse, error) {
			return nil, status.Error(codes.NotFound, "Unable to find the requested topic")
		},
		"failed": func(string, string) (*pb.TopicLookupResponse, error) {
			return &pb.TopicLookupResponse{ResponseType: pb.TopicLookupResponse_Failed}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCluster(t, "one:6650")
			b.lookup = answer
			require.NoError(t, publish(t, b.client("one:6650")))
			require.Equal(t, "one:6650", b.seen(seenCreate)[0].broker)
		})
	}
}

// A lookup finds a topic whose name begins with the one that is asked for (trap T-50), so only Subscribe tells that there is none.
func TestT50APositiveLookupIsNoProofOfATopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, "one:6650")
		b.topics = []string{orders}
		b.lookup = lookupAnswer("http://one:6650", "http://one:6650", false)
		b.admit = func(s seen) error {
			if s.method == seenSubscribe {
				return status.Error(codes.NotFound, "Unable to find the topic "+orders)
			}
			return nil
		}
		k, err := b.client("one:6650").NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
		require.NoError(t, err)
		defer k.Close()
		time.Sleep(time.Minute)
		require.ErrorIs(t, k.Health(), ErrNoTopic)
		require.False(t, IsPermanent(k.Health()))
		require.Empty(t, b.seen(seenReceive))
		b.set(func() { b.admit = nil })
		_, err = k.Receive(t.Context())
		require.NoError(t, err)
		require.NoError(t, k.Health())
	})
}

func TestT25AdvertisedAddresses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		service, connect string
		want             address
		err, mend        string
	}{
		"as it is":                {"http://one:6650", "http://two:6651", address{"two:6651", false}, "", ""},
		"slash":                   {"http://one:6650", "http://two:6651/", address{"two:6651", false}, "", ""},
		"to TLS":                  {"http://one:6650", "https://two:6651", address{"two:6651", true}, "", ""},
		"TLS":                     {"https://one:6650", "https://two:6651", address{"two:6651", true}, "", ""},
		"T-25":                    {"http://one:7000", "http://0.0.0.0:6650", address{"one:6650", false}, "", ""},
		"T-25 in IPv6":            {"https://[::1]:7000", "https://[::]:6650", address{"[::1]:6650", true}, "", ""},
		"out of TLS":              {"https://one:6650", "http://two:6650", address{}, "in plain text", "advertised_listeners"},
		"out of TLS, all of them": {"https://one:6650", "http://0.0.0.0:6650", address{}, "in plain text", "advertised_listeners"},
		"empty":                   {"http://one:6650", "", address{}, `"" is not of the form`, "advertised_listeners"},
		"no scheme":               {"http://one:6650", "two:6650", address{}, "not of the form", "advertised_listeners"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := New(tt.service)
			require.NoError(t, err)
			at, err := c.advertised(tt.connect)
			if tt.err == "" {
				require.NoError(t, err)
				require.Equal(t, tt.want, at)
				return
			}
			err = wrap(opLookup, orders, err)
			require.True(t, IsPermanent(err))
			require.ErrorIs(t, err, ErrNotBroker)
			require.ErrorContains(t, err, tt.err)
			require.ErrorContains(t, err, tt.mend)
		})
	}
}

func TestT25TheReplacedAddressIsToldOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	b := newCluster(t, "one:6650")
	b.lookup = lookupAnswer("http://0.0.0.0:6650", "http://0.0.0.0:6650", false)
	c := b.client("one:6650", WithLogger(zap.New(core)))
	for range 3 {
		require.NoError(t, publish(t, c))
	}
	require.Len(t, logs.FilterField(zap.String("used", "one:6650")).All(), 1)
	require.Len(t, logs.All(), 1)
}

func TestT36EveryUnaryCallHasADeadline(t *testing.T) {
	t.Parallel()
	for _, method := range []string{seenLookup, seenPartitions, seenCreate, seenSend, seenSubscribe, seenAck} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCluster(t, "one:6650")
				b.topics = []string{orders}
				hang := make(chan struct{})
				b.admit = func(s seen) error {
					if s.method == method {
						<-hang
					}
					return nil
				}
				c := b.client("one:6650")
				ctx, cancel := context.WithCancel(t.Context())
				p, err := c.NewProducer(ProducerSettings{Topic: orders, Name: "p", Reliable: true})
				require.NoError(t, err)
				defer p.Close()
				go func() { _ = p.Send(ctx, Message{}) }() // ends with ctx
				k, err := c.NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
				require.NoError(t, err)
				go func() {
					if d, err := k.Receive(ctx); err == nil {
						k.Ack(d)
					}
				}()
				time.Sleep(time.Minute)
				require.Greater(t, len(b.seen(method)), 1, "the call was never given up")
				cancel()
				close(hang)
				k.Close()
			})
		})
	}
}

// A call without a deadline of its own gets one, so that none is forgotten.
func TestCallsWithoutADeadlineGetOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, "one:6650")
		hang := make(chan struct{})
		b.admit = func(seen) error { <-hang; return nil }
		c := b.client("one:6650")
		e, err := c.endpoint(c.service)
		require.NoError(t, err)
		start := time.Now()
		_, err = pb.NewDiscoveryClient(e.conn).TopicLookup(t.Context(), &pb.TopicLookupRequest{Topic: orders})
		require.Equal(t, codes.DeadlineExceeded, status.Code(err))
		require.Equal(t, callTimeout, time.Since(start))
		close(hang)
	})
}

func TestAClosedClientEndsEverything(t *testing.T) {
	t.Parallel()
	b := newCluster(t, "one:6650")
	c := b.client("one:6650")
	p, err := c.NewProducer(ProducerSettings{Topic: orders, Name: "p", Reliable: true})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Send(t.Context(), Message{}))
	require.NoError(t, c.Close())
	err = p.Send(t.Context(), Message{})
	require.ErrorIs(t, err, ErrClosed)
	require.True(t, IsPermanent(err))
	err = publish(t, c)
	require.ErrorIs(t, err, ErrClosed)
	require.True(t, IsPermanent(err))
	k, err := c.NewConsumer(ConsumerSettings{Topic: orders, Subscription: "s", Name: "c"})
	require.NoError(t, err)
	defer k.Close()
	_, err = k.Receive(t.Context())
	require.ErrorIs(t, err, ErrClosed)
	require.False(t, errors.Is(err, context.Canceled))
}
