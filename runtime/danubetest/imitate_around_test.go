package danubetest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestDB60Seat(t *testing.T) {
	t.Parallel()
	for _, strategy := range []danubepb.DispatchStrategy{reliable, nonReliable} {
		t.Run(strategy.String(), func(t *testing.T) {
			t.Parallel()
			imitates(t, "seat", func(t *testing.T, c *client) []string {
				c.producer(orders, "p", strategy)
				r := c.consume(orders, "s", "a", exclusive)
				line := says(c.askSubscribe(orders, "s", "b", exclusive))
				r.close()
				time.Sleep(10 * time.Second)
				line = append(line, c.askSubscribe(orders, "s", "b", exclusive), c.askSubscribe(orders, "s", "c", shared))
				c.receive(orders, "s", c.subscribe(orders, "t", "a", exclusive)).close()
				time.Sleep(time.Second)
				require.Equal(t, ok, c.unsubscribe(orders, "t"))
				return append(line, c.askSubscribe(orders, "t", "b", exclusive))
			}, says("PermissionDenied", "PermissionDenied", "PermissionDenied", ok), says("PermissionDenied", ok, "PermissionDenied", ok))
		})
	}
}

func TestDB61Failover(t *testing.T) {
	t.Parallel()
	for strategy, later := range map[danubepb.DispatchStrategy]string{reliable: "5", nonReliable: "0"} {
		t.Run(strategy.String(), func(t *testing.T) {
			t.Parallel()
			imitates(t, "failover", func(_ *testing.T, c *client) []string {
				p := c.producer(orders, "p", strategy)
				a, b := c.consume(orders, "s", "a", failover), c.consume(orders, "s", "b", failover)
				a.close()
				time.Sleep(time.Second)
				for _, text := range numbers(0, 5) {
					p.send(text)
					time.Sleep(time.Millisecond)
				}
				got := fmt.Sprint(len(b.came(10 * time.Second)))
				a = c.consume(orders, "s", "a", failover)
				return says(got, fmt.Sprint(len(a.came(time.Second))))
			}, says("0", later), says("5", "0"))
		})
	}
}

func TestDB65BestEffortDropsABurst(t *testing.T) {
	t.Parallel()
	imitates(t, "best-effort", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", nonReliable)
		open, _ := notReading(t, c, c.subscribe(orders, "s", "c", exclusive))
		for range 500 {
			p.send(strings.Repeat("x", 1<<10))
			time.Sleep(time.Millisecond)
		}
		came := 0
		for {
			if _, err := open.Recv(); err != nil {
				break
			}
			if came++; came == 500 {
				break
			}
		}
		t.Logf("%d of 500 came", came)
		return says(fmt.Sprint(came > 60 && came < 90))
	}, says("true"), says("false"))
}

func TestDB65BestEffortForgetsIdleSubscriptions(t *testing.T) {
	t.Parallel()
	imitates(t, "best-effort", func(_ *testing.T, c *client) []string {
		p := c.producer(orders, "p", nonReliable)
		r := c.consume(orders, "s", "c", shared)
		r.close()
		time.Sleep(time.Second)
		p.send("m000")
		time.Sleep(130 * time.Second)
		return says(fmt.Sprint(c.subscribe(orders, "s", "c", shared) == r.id))
	}, says("false"), says("true"))
}

func TestDB72Names(t *testing.T) {
	t.Parallel()
	imitates(t, "names", func(t *testing.T, c *client) []string {
		c.producer(orders+"-dlq", "p", reliable)
		_, err := c.CreateProducer(c.ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: orders, DispatchStrategy: reliable})
		for status.Code(err) == codes.Unavailable {
			time.Sleep(50 * time.Millisecond)
			_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: orders, DispatchStrategy: reliable})
		}
		missing := "/default/ord"
		_, lookup := c.TopicLookup(c.ctx, &danubepb.TopicLookupRequest{Topic: missing})
		parts, errParts := c.TopicPartitions(c.ctx, &danubepb.TopicLookupRequest{Topic: missing})
		require.NoError(t, errParts)
		return says(status.Code(err).String(), status.Code(lookup).String(), strings.Join(parts.GetPartitions(), " "))
	}, says("AlreadyExists", ok, orders+"-dlq"), says(ok, "NotFound", ""))
}

func TestDB73LateTopic(t *testing.T) {
	t.Parallel()
	imitates(t, "late-topic", func(_ *testing.T, c *client) []string {
		ask := func() string {
			return c.try(func(ctx context.Context) error {
				_, err := c.CreateProducer(ctx, &danubepb.ProducerRequest{ProducerName: "p", TopicName: orders, DispatchStrategy: reliable})
				return err
			})
		}
		line := says(ask(), ask(), c.askSubscribe(orders, "s", "c", shared))
		time.Sleep(100 * time.Millisecond)
		return append(line, ask(), c.askSubscribe(orders, "s", "c", shared))
	}, says("Unavailable", "Unavailable", "Unavailable", ok, ok), says(ok, ok, ok, ok, ok))
}

func TestDB74Resets(t *testing.T) {
	t.Parallel()
	imitates(t, "resets", func(_ *testing.T, c *client) []string {
		_, send := c.SendMessage(c.ctx, &danubepb.StreamMessage{})
		_, ack := c.Ack(c.ctx, &danubepb.AckRequest{})
		_, nack := c.Nack(c.ctx, &danubepb.NackRequest{})
		return says(send.Error(), ack.Error(), nack.Error())
	}, says(repeat(3, "rpc error: code = Canceled desc = stream terminated by RST_STREAM with error code: CANCEL")...),
		says(repeat(3, "rpc error: code = InvalidArgument desc = msg_id is required")...))
}

func repeat(n int, text string) []string {
	var all []string
	for range n {
		all = append(all, text)
	}
	return all
}

func TestDB74ResetsOfProtobufPayloads(t *testing.T) {
	t.Parallel()
	imitates(t, "resets", func(t *testing.T, c *client) []string {
		id := c.register("message", "protobuf", "message A {}").GetSchemaId()
		p := c.producer(orders, "p", reliable)
		require.NoError(t, c.configure("message", "enforce", true))
		return says(status.Code(p.sendAs(id, 1, "")).String())
	}, says("Canceled"), says("InvalidArgument"))
}

func TestDB74ResetsOfDeadlines(t *testing.T) {
	t.Parallel()
	ends := func(t *testing.T, c *client) []string {
		c.producer(orders, "p", reliable)
		c.broker.Delay("Ack", time.Minute, danubetest.Always)
		seen := make(map[string]bool)
		for range 40 {
			ctx, cancel := context.WithTimeout(c.ctx, time.Second)
			_, err := c.Ack(ctx, &danubepb.AckRequest{MsgId: &danubepb.MsgID{TopicName: orders}, SubscriptionName: "s"})
			cancel()
			seen[status.Code(err).String()] = true
		}
		return says(fmt.Sprint(seen))
	}
	imitates(t, "resets", ends, says("map[Canceled:true DeadlineExceeded:true]"), says("map[DeadlineExceeded:true]"))
}
