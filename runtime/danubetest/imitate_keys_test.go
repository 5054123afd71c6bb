package danubetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A consumer that is away for more than three seconds loses what it had in flight, which counts as acknowledged.
func TestDB62KeyEvict(t *testing.T) {
	t.Parallel()
	imitates(t, "key-evict", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", keyShared)
		for i, text := range numbers(0, 10) { // the window is full, else the ticks would wait
			p.sendKey(fmt.Sprint("key", i), text)
		}
		require.Equal(t, "0-9", spans(r.came(100*time.Millisecond)))
		r.close()
		time.Sleep(4 * time.Second)
		again := c.consume(orders, "s", "c", keyShared)
		line := says(fmt.Sprint(again.id == r.id), c.tryHealth(again.id))
		p.sendKey("key0", "m010")
		line = append(line, "old name: "+spans(again.came(10*time.Second)))
		again.close()
		other := c.consume(orders, "s", "other", keyShared)
		time.Sleep(time.Second)
		p.sendKey("key1", "m011")
		return append(line, fmt.Sprint("new name: ", len(other.came(10*time.Second)) > 0))
	}, says("true", ok, "old name: ", "new name: true"), says("true", ok, "old name: 0-9", "new name: true"), patientPolicy())
}

func TestDB62KeyEvictGivesWhatWaitsToOthers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "a", keyShared, "key*")
		other := c.consume(orders, "s", "b", keyShared, "*")
		for i := range 10 {
			p.sendKey("key", fmt.Sprint("m", i)) // one in flight, the others wait behind it
		}
		first, second := r.came(100*time.Millisecond), other.came(0)
		if len(first) == 0 {
			r, other, first = other, r, second
		}
		require.Equal(t, "0", spans(first))
		r.close()
		time.Sleep(4 * time.Second)
		require.Equal(t, "1", spans(other.came(0)), "the first one is lost")
	}, danubetest.Imitate("v0.15"), patientPolicy())
}

// Back before that, it finds its messages in flight still, and gets them at their ack timeout.
func TestDB62KeyEvictLeavesTimeToReturn(t *testing.T) {
	t.Parallel()
	imitates(t, "key-evict", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", keyShared)
		for i, text := range numbers(0, 10) {
			p.sendKey(fmt.Sprint("key", i), text)
		}
		require.Equal(t, "0-9", spans(r.came(100*time.Millisecond)))
		r.close()
		time.Sleep(900 * time.Millisecond)
		again := c.consume(orders, "s", "c", keyShared)
		return says(fmt.Sprint(again.id == r.id), fmt.Sprint(len(again.came(7*time.Second))), fmt.Sprint(len(again.came(5*time.Second)) >= 10))
	}, says("true", "0", "true"), says("true", "10", "true"), danubetest.Policy(quick(10*time.Second, 1000, 0)))
}

func TestDB63KeyDrain(t *testing.T) {
	t.Parallel()
	imitates(t, "key-drain", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", keyShared)
		for i, text := range numbers(0, 60) {
			p.sendKey(fmt.Sprint("key", i%5), text)
		}
		require.Equal(t, "0-4", spans(r.came(100*time.Millisecond)))
		for i := range uint64(5) {
			require.Equal(t, ok, c.tryAck(orders, "s", i))
		}
		begin := time.Now()
		for i := uint64(5); i < 60; i++ { // up to 9 they waited behind their keys within the window
			m := r.next()
			require.Equal(t, i, offset(m))
			r.ack(m)
		}
		return says(fmt.Sprintf("%.0f s", time.Since(begin).Seconds()))
	}, says("25 s"), says("0 s"), patientPolicy())
}

func TestDB64KeyFreeze(t *testing.T) {
	t.Parallel()
	imitates(t, "key-freeze", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", keyShared)
		for i, text := range numbers(0, 3) {
			p.sendKey(fmt.Sprint("key", i), text)
		}
		require.Len(t, r.came(100*time.Millisecond), 3)
		line := says(fmt.Sprint(len(r.came(6 * time.Second))))
		p.sendKey("key3", "m003")
		return append(line, spans(r.came(4 * time.Second)[:1]), fmt.Sprint(len(r.came(0))))
	}, says("0", "3", "0"), says("18", "3", "0"), danubetest.Policy(quick(time.Second, 1000, 0)))
}

func TestDB64KeyFreezeQueues128Acks(t *testing.T) {
	t.Parallel()
	imitates(t, "key-freeze", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", keyShared)
		for i, text := range numbers(0, 200) {
			p.sendKey(fmt.Sprint("key", i), text)
		}
		require.Len(t, r.came(1500*time.Millisecond), 200)
		acked := uint64(0)
		for acked < 200 && c.tryAck(orders, "s", acked) == ok {
			acked++
		}
		return says(fmt.Sprint(acked))
	}, says("128"), says("200"), danubetest.Window(1000), patientPolicy())
}
