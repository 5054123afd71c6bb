package danubetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func TestDB23AKeyStaysWithItsConsumerInOrder(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]danubepb.DispatchStrategy{"reliable": reliable, "non-reliable": nonReliable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, danubetest.Window(100))
			p := c.producer(orders, "p", strategy)
			readers := []*reader{c.consume(orders, "s", "a", keyShared), c.consume(orders, "s", "b", keyShared)}
			const keys, rounds = 10, 3
			for round := range rounds {
				for k := range keys {
					p.sendKey(fmt.Sprint("key", k), fmt.Sprint(round))
				}
			}
			owner := make(map[string]int)
			for i, r := range readers {
				seen := make(map[string]int)
				for range keys / 2 * rounds { // the keys are spread evenly
					m := r.next()
					key := m.GetRoutingKey()
					require.Equal(t, fmt.Sprint(seen[key]), string(m.GetPayload()), "order of %s", key)
					seen[key]++
					owner[key] += i*rounds + 1
					r.ack(m)
				}
				require.Len(t, seen, keys/2)
				require.Empty(t, r.in)
			}
			require.Len(t, owner, keys)
		})
	}
}

func TestDB24AnAckReleasesTheNextOfItsKey(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", keyShared)
	for i := range 10 {
		p.sendKey(fmt.Sprint("key", i%2), numbers(i, i+1)[0])
	}
	seen := make(map[string]bool)
	for range 10 {
		m := r.next()
		seen[string(m.GetPayload())] = true
		r.ack(m)
	}
	require.Len(t, seen, 10)
}

func TestDB25ManyKeysInFlightAckedInReverse(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", keyShared)
	var got []*danubepb.StreamMessage
	for i, n := range numbers(0, 10) {
		p.sendKey(fmt.Sprint("key", i), n)
		got = append(got, r.expect(n))
	}
	for i := range got {
		r.ack(got[len(got)-1-i])
	}
	p.sendKey("key0", "m010")
	r.consumeAll("m010")
	c.waitFor(func() bool { return c.broker.Unacked(orders, "s") == 0 })
}

func TestDB26Filters(t *testing.T) {
	t.Parallel()
	for name, strategy := range map[string]danubepb.DispatchStrategy{"reliable": reliable, "non-reliable": nonReliable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			p := c.producer(orders, "p", strategy)
			a := c.consume(orders, "s", "a", keyShared, "payment", "order-?")
			b := c.consume(orders, "s", "b", keyShared, "ship*")
			for i, key := range []string{"payment", "shipping", "payment", "invoice", "order-1", "shipment", "order-10", "payment"} {
				p.sendKey(key, numbers(i, i+1)[0])
			}
			a.ack(a.expect("m000"))
			for range 3 { // the order of different keys is not promised
				a.ack(a.next())
			}
			b.consumeAll("m001", "m005")
			require.Empty(t, a.in)
			require.Empty(t, b.in)
			c.waitFor(func() bool { s, _ := c.broker.Subscription(orders, "s"); return s.Backlog == 0 })

			everything := c.consume(orders, "s", "c", keyShared)
			p.sendKey("invoice", "m008")
			everything.consumeAll("m008")
		})
	}
}

func TestDB27AConsumerJoinsKeyShared(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	readers := []*reader{c.consume(orders, "s", "a", keyShared)}
	seen := make(chan string, 100)
	serve := func(r *reader) {
		for {
			select {
			case m := <-r.in:
				r.ack(m)
				seen <- string(m.GetPayload())
			case <-r.ended:
				return
			}
		}
	}
	go serve(readers[0])
	for i, n := range numbers(0, 24) {
		if i == 12 {
			readers = append(readers, c.consume(orders, "s", "b", keyShared))
			go serve(readers[1])
		}
		p.sendKey(fmt.Sprint("key", i%6), n)
	}
	unique := make(map[string]bool)
	for range 24 {
		unique[<-seen] = true
	}
	require.Len(t, unique, 24)
}

func TestDB28PoisonStopsOneKeyOnly(t *testing.T) {
	t.Parallel()
	for _, policy := range []danubetest.PoisonPolicy{danubetest.Block, danubetest.Drop, danubetest.DeadLetter} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) {
				p := c.producer(orders, "p", reliable)
				r := c.consume(orders, "s", "c", keyShared)
				p.sendKey("bad", "m000")
				p.sendKey("bad", "m001")
				r.nack(r.expect("m000"), 0, "broken")
				if policy != danubetest.Block {
					r.consumeAll("m001")
				}
				p.sendKey("good", "m002")
				r.consumeAll("m002")
				r.quiet(time.Hour)
			}, danubetest.Policy(poison(policy)))
		})
	}
}

func TestDB29TheKeysOfALostConsumerMove(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	a := c.consume(orders, "s", "a", keyShared)
	b := c.consume(orders, "s", "b", keyShared)
	p.sendKey("one", "m000")
	p.sendKey("two", "m001")
	p.sendKey("one", "m002")
	a.expect("m000")
	b.consumeAll("m001")
	a.close()
	b.consumeAll("m000", "m002")
}

// Messages that only an absent consumer wants wait for it.
func TestDB29FilteredMessagesWaitForTheirConsumer(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	a := c.consume(orders, "s", "a", keyShared, "one")
	b := c.consume(orders, "s", "b", keyShared, "two")
	p.sendKey("one", "m000")
	a.expect("m000")
	a.close()
	p.sendKey("one", "m001")
	p.sendKey("two", "m002")
	b.consumeAll("m002")
	require.Equal(t, 2, c.broker.Unacked(orders, "s"))
	a = c.consume(orders, "s", "a", keyShared, "one")
	a.consumeAll("m000", "m001")
}
