package danubetest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// gauge is the value of a gauge of subscription s, "none" if it is not told.
func (c *client) gauge(name string) string {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.broker.StatusHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(c.t, http.StatusOK, w.Code)
	_, after, found := strings.Cut(w.Body.String(), fmt.Sprintf("\ndanube_subscription_%s{topic=%q,subscription=%q} ", name, orders, "s"))
	if !found {
		return "none"
	}
	value, _, _ := strings.Cut(after, "\n")
	return value
}

// lagAfter waits for a tick and reads the lag.
func (c *client) lagAfter() string {
	time.Sleep(600 * time.Millisecond)
	return c.gauge("lag_messages")
}

func TestDB75Gauges(t *testing.T) {
	t.Parallel()
	imitates(t, "gauges", func(_ *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 300)...)
		line := says("unread: " + c.lagAfter())
		r.ack(r.next())
		line = append(line, "one acknowledged: "+c.lagAfter())
		r.close()
		p.send("m300")
		return append(line, "stream closed: "+c.lagAfter(), "blocked: "+c.gauge("terminal_blocked"))
	}, says("unread: 0", "one acknowledged: 299", "stream closed: 300", "blocked: 0"),
		says("unread: 300", "one acknowledged: 299", "stream closed: 300", "blocked: 0"), patientPolicy(), danubetest.Window(1000))
}

func TestDB75GaugesAfterALossAndInAFreeze(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 300)...)
		require.Equal(t, "0-9 44-299", r.drain(r.came(time.Second)))
		require.Equal(t, "290", c.lagAfter(), "it cannot pass what was lost")
		p.send(numbers(300, 310)...)
		r.drain(r.came(time.Second))
		require.Equal(t, "300", c.lagAfter())
	}, danubetest.Imitate("v0.15"), patientPolicy())
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 5)...)
		came := r.came(100 * time.Millisecond)
		r.ack(came[0])
		require.Equal(t, "4", c.lagAfter())
		r.ack(came[4])
		r.ack(came[1])
		require.Equal(t, "4", c.lagAfter(), "it stands still in a freeze")
	}, danubetest.Imitate("v0.15"), patientPolicy())
}

func TestDB75GaugesOfABlock(t *testing.T) {
	t.Parallel()
	for kind, blocked := range map[danubepb.ConsumerRequest_SubscriptionType]string{exclusive: "1", keyShared: "none"} {
		bubble(t, func(t *testing.T, c *client) {
			p := c.producer(orders, "p", reliable)
			r := c.consume(orders, "s", "c", kind)
			p.send("m000")
			r.nack(r.next(), 0, "")
			time.Sleep(time.Second)
			require.Equal(t, blocked, c.gauge("terminal_blocked"))
			require.Equal(t, "0", c.gauge("lag_messages"))
		}, danubetest.Imitate("v0.15"), danubetest.Policy(quick(time.Minute, 0, 0)))
	}
}

func TestDB76MetadataLimit(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, c *client, minutes int) error {
		c.producer(orders, "p", reliable)
		time.Sleep(time.Duration(minutes) * time.Minute)
		c.broker.Restart(true)
		time.Sleep(10 * time.Second)
		_, err := c.TopicPartitions(c.ctx, &danubepb.TopicLookupRequest{Topic: orders})
		return err
	}
	bubble(t, func(t *testing.T, c *client) {
		require.NoError(t, run(t, c, 65))
		got, err := adminpb.NewClusterAdminClient(c.admin).ClusterStatus(c.ctx, &adminpb.Empty{})
		require.NoError(t, err)
		require.InDelta(t, 14*65+7, got.GetLastApplied(), 5)
	}, danubetest.Trap("metadata-limit"))
	bubble(t, func(t *testing.T, c *client) {
		requireStatus(t, run(t, c, 75), codes.Unavailable, "Failed to get log entries, expected index: [0, 64), got [None, None)")
	}, danubetest.Trap("metadata-limit"))
	bubble(t, func(t *testing.T, c *client) { require.NoError(t, run(t, c, 75)) }, danubetest.Imitate("v0.15"))
	bubble(t, func(t *testing.T, c *client) { require.NoError(t, run(t, c, 75)) })
}
