package unary_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

func TestDeadlines(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		start := time.Now()
		long, short, mid := r.startWithin("a", 3*time.Second), r.startWithin("b", time.Second), r.startWithin("c", 2*time.Second)
		past := r.startWithin("d", -time.Second)
		p := r.greet()
		for range 3 {
			p.request()
		}
		past.failed(t, codes.DeadlineExceeded, "deadline")
		require.True(t, past.Unprocessed)
		for i, c := range []*waited{short, mid, long} {
			id := next[*http2.RSTStreamFrame](p)
			require.Equal(t, http2.ErrCodeCancel, id.ErrCode)
			c.failed(t, codes.DeadlineExceeded, "deadline")
			require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
			require.False(t, c.Unprocessed)
			require.WithinDuration(t, start.Add(time.Duration(i+1)*time.Second), c.at, time.Millisecond)
		}
	})
}

// Many deadlines at nearly the same time are one piece of work, not many.
func TestDeadlinesThatComeTogether(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		p := r.dial()
		for i := range 500 {
			r.startWithin("x", time.Second+time.Duration(i)*time.Microsecond)
		}
		for range 500 {
			p.request()
		}
		go func() { _, _ = io.Copy(io.Discard, p.conn) }() // ends with the connection
		time.Sleep(2 * time.Second)
		synctest.Wait()
		times := map[time.Time]bool{}
		for _, c := range r.calls[1:] {
			require.Equal(t, codes.DeadlineExceeded, c.Code)
			require.False(t, c.at.Before(c.Deadline), "too early")
			times[c.at] = true
		}
		require.Less(t, len(times), 10)
	})
}

func TestDeadlineThatTheServerSawFirst(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.startWithin("a", time.Second)
		p := r.greet()
		id, _ := p.request()
		time.Sleep(time.Second - time.Nanosecond)
		c.Deadline = time.Now() // as if the timer were a little late
		reset(http2.ErrCodeCancel)(p, id)
		c.failed(t, codes.DeadlineExceeded, "RST_STREAM")
	})
}

func TestDialFailuresFailAtOnceAndArePaced(t *testing.T) {
	t.Parallel()
	dials := 0
	refused := errors.New("refused")
	inRig(t, unary.Config{Dial: func(context.Context, string) (net.Conn, error) {
		dials++
		return nil, refused
	}}, func(t *testing.T, r *rig) {
		first := r.start("a")
		first.failed(t, codes.Unavailable, "connect to server:1: refused")
		require.True(t, first.Unprocessed)
		require.ErrorIs(t, first.Err(), refused)
		r.start("b").failed(t, codes.Unavailable, "refused")
		require.Equal(t, 1, dials, "the second dial came at once")
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			r.start("c").failed(t, codes.Unavailable, "refused")
		}
		require.Less(t, dials, 60, "a minute of calls dialled that often")
		require.Greater(t, dials, 10)
		require.NoError(t, r.pool.Broken())
	})
}

// Failures long ago do not make a later one worse.
func TestDialPaceStartsAnewAfterAnAnswer(t *testing.T) {
	t.Parallel()
	up, dials := false, make(chan net.Conn, 1)
	refused := 0
	inRig(t, unary.Config{Dial: func(context.Context, string) (net.Conn, error) {
		if !up {
			refused++
			return nil, errors.New("refused")
		}
		ours, theirs := net.Pipe()
		dials <- theirs
		return ours, nil
	}}, func(t *testing.T, r *rig) {
		r.dials = dials
		for range 10 {
			r.start("x").failed(t, codes.Unavailable, "refused")
			time.Sleep(5 * time.Second)
		}
		up = true
		p := r.dial()
		up = false
		p.conn.Close()
		synctest.Wait()
		refused = 0
		r.start("x").failed(t, codes.Unavailable, "refused")
		time.Sleep(200 * time.Millisecond)
		r.start("x").failed(t, codes.Unavailable, "refused")
		require.Equal(t, 2, refused)
	})
}

func TestDialThatHangs(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, ConnectTimeout: 3 * time.Second}, func(t *testing.T, r *rig) {
		start := time.Now()
		short, long := r.startWithin("a", time.Second), r.startWithin("b", time.Minute)
		time.Sleep(4 * time.Second)
		short.failed(t, codes.DeadlineExceeded, "")
		require.Equal(t, time.Second, short.at.Sub(start))
		long.failed(t, codes.Unavailable, "deadline exceeded")
		require.Equal(t, 3*time.Second, long.at.Sub(start))
		r.start("c") // closing the pool ends the third
	})
}

func TestGreetingsThatAreNone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		bytes  string
		text   string
		broken bool
	}{
		"HTTP/1":          {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1", true},
		"another service": {"220 mail.example.com ESMTP\r\n", "220", true},
		"not SETTINGS":    {"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678", "not SETTINGS but PING", true},
		"bad SETTINGS":    {"\x00\x00\x05\x04\x00\x00\x00\x00\x0012345", "FRAME_SIZE_ERROR", true},
		"TLS":             {"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS", false},
		"nothing":         {"", "EOF", false},
		"half a frame":    {"\x00\x00\x06\x04\x00\x00\x00\x00\x00123", "unexpected EOF", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
				c := r.start("x")
				p := r.accept()
				_, err := p.conn.Write([]byte(tt.bytes))
				require.NoError(t, err)
				p.conn.Close()
				if name == "another service" {
					c.failed(t, codes.Unavailable, "")
				} else {
					c.failed(t, codes.Unavailable, tt.text)
				}
				require.True(t, c.Unprocessed)
				require.Equal(t, tt.broken, errors.Is(c.Err(), unary.ErrProtocol))
				require.Equal(t, tt.broken, r.pool.Broken() != nil)
			})
		})
	}
}

func TestServerThatNeverGreets(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.startWithin("x", time.Minute)
		r.accept()
		time.Sleep(10*time.Second + time.Millisecond)
		c.failed(t, codes.Unavailable, "")
	})
}

func TestConnectionLostAndMadeAgain(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		answered := r.start("a")
		p := r.greet(settings(maxConcurrentStreams, 1)...)
		id, _ := p.request()
		p.answer(id, "1")
		answered.succeeded(t, "1")
		open, waiting := r.start("b"), r.start("c")
		p.request()
		p.conn.Close()
		open.failed(t, codes.Unavailable, "connection to server:1 lost")
		require.False(t, open.Unprocessed, "nobody knows")
		p = r.greet()
		id, message := p.request()
		require.Equal(t, "c", message, "what had no stream goes to the next connection")
		p.answer(id, "3")
		waiting.succeeded(t, "3")
		require.NoError(t, r.pool.Broken())
	})
}

// A server that greets and hangs up must not be dialled in a circle.
func TestConnectionLostBeforeAnyAnswer(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		open, waiting := r.start("a"), r.start("b")
		p := r.greet(settings(maxConcurrentStreams, 1)...)
		p.request()
		p.conn.Close()
		open.failed(t, codes.Unavailable, "lost")
		waiting.failed(t, codes.Unavailable, "")
		require.False(t, open.Unprocessed)
		require.True(t, waiting.Unprocessed)
		require.Empty(t, r.dials)
		r.start("c").failed(t, codes.Unavailable, "")
		time.Sleep(time.Second)
		again := r.start("d")
		p = r.greet()
		id, _ := p.request()
		p.answer(id, "")
		again.succeeded(t, "")
	})
}

func TestGoAwayInMidFlight(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		var calls []*waited
		for range 4 {
			calls = append(calls, r.start("x"))
		}
		p := r.greet(settings(maxConcurrentStreams, 3)...)
		var ids []uint32
		for range 3 {
			id, _ := p.request()
			ids = append(ids, id)
		}
		p.answer(ids[0], "0")
		calls[0].succeeded(t, "0")
		id, _ := p.request()
		ids = append(ids, id)
		waiting := r.start("waiting")
		require.NoError(t, p.frames.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)) // "soon"
		q := r.greet()
		newID, message := q.request()
		require.Equal(t, "waiting", message)
		require.NoError(t, p.frames.WriteGoAway(ids[1], http2.ErrCodeNo, []byte("max_age")))
		for _, c := range calls[2:] {
			c.failed(t, codes.Unavailable, "max_age")
			require.True(t, c.Unprocessed)
		}
		p.answer(ids[1], "1") // on the old connection, which then is of no more use
		calls[1].succeeded(t, "1")
		_, err := p.read()
		require.Error(t, err, "the old connection is still there")
		q.answer(newID, "new")
		waiting.succeeded(t, "new")
		require.NoError(t, r.pool.Broken())
	})
}

func TestGoAwayWhileIdle(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		p := r.dial()
		require.NoError(t, p.frames.WriteGoAway(1, http2.ErrCodeNo, nil))
		_, err := p.frames.ReadFrame()
		require.ErrorIs(t, err, io.EOF)
		require.Empty(t, r.dials, "nobody needs a connection")
		r.dial()
	})
}

func TestGoAwayWithAComplaint(t *testing.T) {
	t.Parallel()
	for code, broken := range map[http2.ErrCode]bool{
		http2.ErrCodeProtocol: true, http2.ErrCodeFlowControl: true, http2.ErrCodeFrameSize: true, http2.ErrCodeCompression: true,
		http2.ErrCodeHTTP11Required: true, http2.ErrCodeNo: false, http2.ErrCodeInternal: false, http2.ErrCodeEnhanceYourCalm: false,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
				c := r.start("x")
				p := r.greet()
				p.request()
				require.NoError(t, p.frames.WriteGoAway(0, code, []byte("why")))
				c.failed(t, codes.Unavailable, "the server asked to leave: "+code.String()+` "why"`)
				require.True(t, c.Unprocessed)
				require.Equal(t, broken, r.pool.Broken() != nil)
				require.Equal(t, broken, errors.Is(c.Err(), unary.ErrProtocol))
			})
		})
	}
}

func TestResetThatDemandsHTTP1(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.start("x")
		p := r.greet()
		id, _ := p.request()
		reset(http2.ErrCodeHTTP11Required)(p, id)
		c.failed(t, codes.Internal, "HTTP_1_1_REQUIRED")
		require.ErrorIs(t, r.pool.Broken(), unary.ErrProtocol)
	})
}

func TestKeepaliveFindsADeadPeer(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		start := time.Now()
		c := r.startWithin("x", time.Minute)
		p := r.greet()
		p.request()
		next[*http2.PingFrame](p)
		require.WithinDuration(t, start.Add(20*time.Second), time.Now(), time.Millisecond)
		require.NoError(t, p.frames.WritePing(true, [8]byte{}))
		next[*http2.PingFrame](p)
		require.WithinDuration(t, start.Add(40*time.Second), time.Now(), time.Millisecond)
		time.Sleep(10*time.Second + time.Millisecond)
		c.failed(t, codes.Unavailable, "nothing has come for 10s after a ping")
		require.NoError(t, r.pool.Broken())
	})
}

// A connection that died while nobody needed it is found out by the first call, however soon that gives up.
func TestKeepaliveAfterIdleTime(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		p := r.dial()
		p.quiet()
		time.Sleep(time.Hour)
		p.quiet() // nobody waits, nobody asks
		c := r.startWithin("y", time.Second)
		p.request()
		next[*http2.PingFrame](p)
		time.Sleep(2 * time.Second)
		c.failed(t, codes.DeadlineExceeded, "")
		next[*http2.RSTStreamFrame](p)
		time.Sleep(9 * time.Second)
		_, err := p.read()
		require.Error(t, err, "the dead connection is still there")
		require.Empty(t, r.dials)
	})
}

// Also the peer that reads nothing is found out, while a write is stuck.
func TestKeepaliveWithAStuckWrite(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.startWithin("x", time.Minute)
		r.greet()
		time.Sleep(30*time.Second + 2*time.Millisecond)
		c.failed(t, codes.Unavailable, "after a ping")
	})
}

func TestCloseEndsAllCalls(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{Connections: 2}, func(t *testing.T, r *rig) {
		calls := []*waited{r.start("a"), r.start("b"), r.start("c")}
		p := r.greet(settings(maxConcurrentStreams, 1)...)
		p.request()
		require.NoError(t, r.pool.Close())
		for _, c := range append(calls, r.start("d")) {
			c.failed(t, codes.Canceled, "closing")
		}
		_, err := p.read()
		require.Error(t, err)
	})
}

// A call may be started again from where its owner is told, and needs no more memory then.
func TestCallsAreUsedAgain(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		const rounds = 1000
		count, done := 0, make(chan struct{})
		c := &unary.Call{Method: method, Request: []byte("x"), Deadline: time.Now().Add(time.Minute)}
		c.Owner = unary.Func(func(c *unary.Call) {
			require.Equal(t, "yes", string(c.Response))
			if count++; count == rounds {
				close(done)
				return
			}
			r.pool.Start(c)
		})
		r.pool.Start(c)
		p := r.greet()
		for range rounds {
			id, _ := p.request()
			p.answer(id, "yes")
		}
		<-done
		synctest.Wait()
	})
}

func TestStreamNumbersThatAreUsedUp(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		p := r.dial()
		r.pool.UseUpStreams()
		last, first := r.start("b"), r.start("c")
		lastID, message := p.request()
		require.Equal(t, uint32(1<<31-1), lastID)
		require.Equal(t, "b", message)
		q := r.greet()
		id, message := q.request()
		require.Equal(t, uint32(1), id)
		require.Equal(t, "c", message)
		q.answer(id, "new")
		first.succeeded(t, "new")
		p.answer(lastID, "old")
		last.succeeded(t, "old")
		_, err := p.read()
		require.Error(t, err, "the old connection is still there")
	})
}
