package danubetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// texts tells the payloads in the order in which they came.
func texts(messages []*danubepb.StreamMessage) []string {
	var all []string
	for _, m := range messages {
		all = append(all, string(m.GetPayload()))
	}
	return all
}

// anew restarts the broker and waits until the client is connected again.
func (c *client) anew() {
	c.t.Helper()
	c.broker.Restart(true)
	time.Sleep(10 * time.Second)
}

// nextTo publishes one message and tells what comes within a second, acknowledging it.
func (s *sender) nextTo(r *reader, payload string) string {
	s.send(payload)
	came := r.came(time.Second)
	for _, m := range came {
		r.ack(m)
	}
	return fmt.Sprint(texts(came))
}

func TestDB66FlushLoss(t *testing.T) {
	t.Parallel()
	imitates(t, "flush-loss", func(_ *testing.T, c *client) []string {
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
		c.anew()
		r = c.consume(orders, "s", "c", exclusive)
		p = c.producer(orders, "p", reliable)
		var got []string
		for _, text := range numbers(0, 6) {
			got = append(got, p.nextTo(r, text))
		}
		return got
	}, says("[flushed]", "[]", "[m002]", "[m003]", "[m004]", "[m005]"),
		says("[flushed lost m000]", "[m001]", "[m002]", "[m003]", "[m004]", "[m005]"), patientPolicy())
}

func TestDB66CursorsAreStoredEveryTenSeconds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		p := c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		p.send(numbers(0, 3)...)
		r.ack(r.next()) // too early for a cursor
		time.Sleep(11 * time.Second)
		c.anew()
		r = c.consume(orders, "s", "c", exclusive)
		p = c.producer(orders, "p", reliable)
		require.Equal(t, "[new0]", p.nextTo(r, "new0"), "without a cursor it starts at the newest")
	}, danubetest.Imitate("v0.15"), patientPolicy())
}

// oneLife publishes old 0 to 19 and acknowledges 0 to 13, of which the stored cursor has 12.
func oneLife(t *testing.T, c *client) {
	t.Helper()
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	for i := range 20 {
		p.send(fmt.Sprint("old", i))
	}
	for i := range 12 {
		m := r.next()
		require.Equal(t, uint64(i), offset(m))
		r.ack(m)
	}
	time.Sleep(11 * time.Second)
	r.ack(r.next())
	r.ack(r.next())
	time.Sleep(6 * time.Second)
}

func TestDB67OffsetsRestart(t *testing.T) {
	t.Parallel()
	var want []string
	for i := range 26 {
		switch {
		case i == 0:
			want = append(want, "[old13]")
		case i < 14:
			want = append(want, "[]")
		case i < 20:
			want = append(want, fmt.Sprintf("[old%d]", i))
		default:
			want = append(want, fmt.Sprintf("[new%d]", i))
		}
	}
	var fresh []string
	for i := range 26 {
		fresh = append(fresh, fmt.Sprintf("[new%d]", i))
	}
	run := func(t *testing.T, c *client) []string {
		oneLife(t, c)
		c.anew()
		r := c.consume(orders, "s", "c", exclusive)
		other := c.consume(orders, "other", "c", exclusive)
		p := c.producer(orders, "p", reliable)
		require.Empty(t, r.came(5*time.Second))
		var got, beside []string
		for i := range 26 {
			got = append(got, p.nextTo(r, fmt.Sprint("new", i)))
			for _, m := range other.came(0) {
				beside = append(beside, fmt.Sprintf("[%s]", m.GetPayload()))
				other.ack(m)
			}
		}
		require.Equal(t, fresh, beside, "a new subscription has every new message")
		return got
	}
	t.Run("imitated", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, c *client) { require.Equal(t, want, run(t, c)) }, danubetest.Imitate("v0.15"), patientPolicy())
	})
	t.Run("alone", func(t *testing.T) { // without flush-loss the cursor has 13
		t.Parallel()
		want := append([]string{"[old14]"}, want[1:]...)
		want[14] = "[]"
		bubble(t, func(t *testing.T, c *client) { require.Equal(t, want, run(t, c)) }, danubetest.Trap("offsets-restart"), patientPolicy())
	})
	t.Run("friendly", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T, c *client) {
			oneLife(t, c)
			c.anew()
			r := c.consume(orders, "s", "c", exclusive)
			p := c.producer(orders, "p", reliable)
			require.Equal(t, "[old14 old15 old16 old17 old18 old19]", fmt.Sprint(texts(r.came(time.Second))))
			require.Equal(t, "[new0]", p.nextTo(r, "new0"))
		}, patientPolicy())
	})
}

func TestDB68TwoLives(t *testing.T) {
	t.Parallel()
	imitates(t, "two-lives", func(t *testing.T, c *client) []string {
		p := c.producer(orders, "p", reliable)
		for i := range 40 {
			p.send(fmt.Sprint("first", i))
		}
		time.Sleep(6 * time.Second)
		c.anew()
		p = c.producer(orders, "p", reliable)
		r := c.consume(orders, "s", "c", exclusive)
		for i := range 12 {
			p.nextTo(r, fmt.Sprint("second", i))
		}
		time.Sleep(11 * time.Second)
		require.Equal(t, "[second12]", p.nextTo(r, "second12")) // stores the cursor
		for i := 13; i < 20; i++ {
			p.send(fmt.Sprint("second", i))
		}
		time.Sleep(6 * time.Second)
		r.close()
		time.Sleep(time.Second)
		c.anew()
		p = c.producer(orders, "p", reliable)
		r = c.consume(orders, "s", "c", exclusive)
		var got []string
		for i := range 43 {
			p.send(fmt.Sprint("third", i))
			for _, m := range r.came(time.Second) {
				got = append(got, string(m.GetPayload()))
				r.ack(m)
			}
		}
		return says(got[0], got[len(got)-1], fmt.Sprint(len(got)))
	}, says("first13", "third42", "30"), says("second13", "third42", "50"), patientPolicy())
}

func TestDB69ResumedBacklog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		backlog, delivered int
		alive              bool
	}{{1275, 1275, true}, {1300, 1300, false}, {2040, 2040, false}, {2060, 1025, false}} {
		t.Run(fmt.Sprint(tt.backlog), func(t *testing.T) {
			t.Parallel()
			got := says(fmt.Sprint(tt.delivered), fmt.Sprint(tt.alive), ok)
			friendly := says(fmt.Sprint(tt.backlog), "true", ok)
			probe := func(t *testing.T, c *client) []string { return resumedBacklog(t, c, tt.backlog) }
			if tt.alive {
				bubble(t, func(t *testing.T, c *client) { require.Equal(t, got, probe(t, c)) }, danubetest.Imitate("v0.15"), patientPolicy())
				return
			}
			imitates(t, "resumed-backlog", probe, got, friendly, patientPolicy())
		})
	}
}

// resume makes a subscription that was created from a stored cursor, with nothing left of the life before.
func resume(t *testing.T, c *client) (*sender, *reader) {
	t.Helper()
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	time.Sleep(11 * time.Second)
	p.send("first")
	r.ack(r.next())
	time.Sleep(6 * time.Second)
	c.anew()
	p = c.producer(orders, "p", reliable)
	r = c.consume(orders, "s", "c", exclusive)
	p.send("skipped", "seen")
	last := r.came(time.Second)
	for _, m := range last {
		r.ack(m)
	}
	require.Equal(t, "seen", string(last[len(last)-1].GetPayload()))
	return p, r
}

func resumedBacklog(t *testing.T, c *client, backlog int) []string {
	p, r := resume(t, c)
	r.close()
	time.Sleep(time.Second)
	p.send(numbers(0, backlog)...)
	r = c.consume(orders, "s", "c", exclusive)
	came := r.came(time.Second)
	seen := 0
	for len(came) > 0 {
		for _, m := range came {
			r.ack(m)
			seen++
		}
		came = r.came(time.Second)
	}
	p.send("after")
	return says(fmt.Sprint(seen), fmt.Sprint(len(r.came(time.Second)) == 1), c.tryHealth(r.id))
}

func TestDB70OverlapKill(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, c *client) string {
		p, r := resume(t, c)
		require.Equal(t, "[m000]", p.nextTo(r, "m000"))
		q := c.producer(orders, "q", reliable)
		c.subscribe(orders, "blocked", "c", exclusive) // never reads, so publishers come to wait for it
		for n := 0; n < 60 && p.trySend("x") == ok; n++ {
			for _, m := range r.came(10 * time.Millisecond) {
				r.ack(m)
			}
		}
		go func() { _ = q.trySend("overlapping") }() // of whichever producer
		time.Sleep(100 * time.Millisecond)
		p.trySend("overlapping")
		r.came(time.Second)
		p.trySend("after")
		return fmt.Sprint(len(r.came(time.Second)))
	}
	for name, tt := range map[string]struct {
		opt  danubetest.Option
		want string
	}{
		"profile":  {danubetest.Imitate("v0.15"), "0"},
		"alone":    {danubetest.Trap("overlap-kill", "hand-over"), "0"},
		"off":      {danubetest.Trap("offsets-restart", "hand-over"), "1"},
		"friendly": {danubetest.Seed(1), "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, c *client) { require.Equal(t, tt.want, run(t, c)) }, tt.opt, danubetest.OverlapKill(1),
				patientPolicy(), danubetest.Window(1000))
		})
	}
}
