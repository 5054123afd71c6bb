package unary_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

func settings(pairs ...uint32) []http2.Setting {
	var all []http2.Setting
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, http2.Setting{ID: http2.SettingID(pairs[i]), Val: pairs[i+1]})
	}
	return all
}

const (
	headerTableSize, maxConcurrentStreams, initialWindowSize, maxFrameSize, maxHeaderListSize = 1, 3, 4, 5, 6
)

func TestFlowOneByteAtATime(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.startWithin("hello", time.Minute)
		p := r.greet(settings(initialWindowSize, 1)...)
		id := next[*http2.HeadersFrame](p).StreamID
		var got []byte
		for range 10 { // the prefix and the five letters
			d := next[*http2.DataFrame](p)
			require.Len(t, d.Data(), 1)
			got = append(got, d.Data()...)
			require.Equal(t, len(got) == 10, d.StreamEnded())
			if !d.StreamEnded() {
				p.quiet()
				require.NoError(t, p.frames.WriteWindowUpdate(id, 1))
			}
		}
		require.Equal(t, "\x00\x00\x00\x00\x05hello", string(got))
		p.answer(id, "done")
		c.succeeded(t, "done")
	})
}

func TestFlowWindowOfTheConnection(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		first := r.start(strings.Repeat("x", 70_000))
		second := r.start("y")
		p := r.greet(settings(initialWindowSize, 1<<20)...)
		id := next[*http2.HeadersFrame](p).StreamID
		taken := 0
		for taken < 65535 {
			d := next[*http2.DataFrame](p)
			require.LessOrEqual(t, len(d.Data()), 16<<10)
			taken += len(d.Data())
		}
		require.Equal(t, 65535, taken)
		p.quiet() // the second call has no stream: it could still go to another server
		require.NoError(t, p.frames.WriteWindowUpdate(0, 1<<20))
		d := next[*http2.DataFrame](p)
		require.True(t, d.StreamEnded())
		require.Equal(t, 70_005, taken+len(d.Data()))
		other, message := p.request()
		require.Equal(t, "y", message)
		p.answer(other, "2")
		p.answer(id, "1")
		first.succeeded(t, "1")
		second.succeeded(t, "2")
	})
}

func TestFlowSettingsChangeOpenStreams(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.start(strings.Repeat("x", 40_000-5))
		p := r.greet(settings(initialWindowSize, 1000)...)
		id := next[*http2.HeadersFrame](p).StreamID
		require.Len(t, next[*http2.DataFrame](p).Data(), 1000)
		require.NoError(t, p.frames.WriteSettings(settings(initialWindowSize, 400)...)) // the window is 600 below zero
		next[*http2.SettingsFrame](p)
		require.NoError(t, p.frames.WriteWindowUpdate(id, 600))
		p.quiet()
		require.NoError(t, p.frames.WriteWindowUpdate(id, 10))
		require.Len(t, next[*http2.DataFrame](p).Data(), 10)
		require.NoError(t, p.frames.WriteSettings(settings(initialWindowSize, 50_000, maxFrameSize, 20_000)...))
		next[*http2.SettingsFrame](p)
		require.Len(t, next[*http2.DataFrame](p).Data(), 20_000)
		d := next[*http2.DataFrame](p)
		require.Len(t, d.Data(), 40_000-20_000-1010)
		require.True(t, d.StreamEnded())
		p.answer(id, "")
		c.succeeded(t, "")
	})
}

func TestFlowAnswerBeforeTheRequestIsSent(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.start(strings.Repeat("x", 70_000))
		p := r.greet(settings(initialWindowSize, 1<<20)...)
		id := next[*http2.HeadersFrame](p).StreamID
		for range 4 { // as much as the connection's window takes
			next[*http2.DataFrame](p)
		}
		p.answer(id, "enough")
		c.succeeded(t, "enough")
		require.Equal(t, id, next[*http2.RSTStreamFrame](p).StreamID)
		require.NoError(t, p.frames.WriteWindowUpdate(0, 100_000))
		p.quiet()
	})
}

func TestFlowStreamLimit(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		calls := []*waited{r.start("a"), r.start("b"), r.start("c"), r.start("d")}
		p := r.greet(settings(maxConcurrentStreams, 2)...)
		a, message := p.request()
		require.Equal(t, "a", message)
		b, message := p.request()
		require.Equal(t, "b", message)
		p.quiet()
		p.answer(b, "")
		c, message := p.request()
		require.Equal(t, "c", message)
		p.quiet()
		require.NoError(t, p.frames.WriteSettings(settings(maxConcurrentStreams, 3)...))
		require.True(t, next[*http2.SettingsFrame](p).IsAck())
		d, message := p.request()
		require.Equal(t, "d", message)
		require.NoError(t, p.frames.WriteSettings(settings(maxConcurrentStreams, 0)...))
		next[*http2.SettingsFrame](p)
		late := r.startWithin("e", time.Second)
		for _, id := range []uint32{a, c, d} {
			p.answer(id, "")
		}
		for _, c := range calls {
			c.succeeded(t, "")
		}
		time.Sleep(time.Second + time.Millisecond)
		late.failed(t, codes.DeadlineExceeded, "deadline")
		require.True(t, late.Unprocessed, "it never had a stream")
	})
}

func TestFlowAnswersOpenTheWindowAgain(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{MaxResponse: 40 << 20}, func(t *testing.T, r *rig) {
		c := r.startWithin("x", time.Minute)
		p := r.greet()
		id, _ := p.request()
		p.begin(id)
		p.data(id, false, "\x00\x02\x00\x00\x00") // 32 MiB
		granted := make(chan uint32, 10)
		go func() {
			defer close(granted)
			for {
				f, err := p.frames.ReadFrame()
				if err != nil {
					return
				}
				if u, ok := f.(*http2.WindowUpdateFrame); ok {
					require.Zero(t, u.StreamID)
					granted <- u.Increment
				}
			}
		}()
		piece := strings.Repeat("x", 16<<10)
		for range 2 << 10 {
			p.data(id, false, piece)
		}
		p.trailers(id, "0")
		synctest.Wait()
		require.Equal(t, 32<<20, len(c.Response))
		require.NoError(t, c.Err())
		p.conn.Close()
		sum := uint32(0)
		for n := range granted {
			sum += n
		}
		require.GreaterOrEqual(t, sum, uint32(32<<20))
	})
}

func TestFlowHeaderLimitsOfTheServer(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		const limit = 40_000
		first := r.start("first") // so that the connection has answered something
		p := r.greet(settings(maxHeaderListSize, limit)...)
		id, _ := p.request()
		p.answer(id, "")
		first.succeeded(t, "")
		bad := r.with("a", strings.Repeat("~", limit))
		bad.failed(t, codes.Internal, "header list of")
		require.True(t, bad.Unprocessed)
		good := r.with("a", strings.Repeat("~", limit-1000))
		h := next[*http2.HeadersFrame](p)
		require.False(t, h.HeadersEnded())
		size := len(h.HeaderBlockFragment())
		for ended := false; !ended; {
			f := next[*http2.ContinuationFrame](p)
			require.LessOrEqual(t, len(f.HeaderBlockFragment()), 16<<10)
			size += len(f.HeaderBlockFragment())
			ended = f.HeadersEnded()
		}
		require.Greater(t, size, limit-1000)
		next[*http2.DataFrame](p)
		p.answer(h.StreamID, "")
		good.succeeded(t, "")
	})
}

// A peer that asks without end and reads nothing is given up before its answers fill the memory; one that reads is not.
func TestFlood(t *testing.T) {
	t.Parallel()
	floods := map[string]func(*peer) error{
		"PING":     func(p *peer) error { return p.frames.WritePing(false, [8]byte{}) },
		"SETTINGS": func(p *peer) error { return p.frames.WriteSettings() },
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
				c := r.start("x")
				p := r.greet()
				p.request()
				for range 5000 {
					require.NoError(t, flood(p))
					_, err := p.read()
					require.NoError(t, err)
				}
				require.Zero(t, c.ended)
				for range 5000 {
					if flood(p) != nil {
						break
					}
				}
				time.Sleep(time.Second) // for the writer, which nobody reads from
				c.failed(t, codes.Unavailable, "flood")
				require.ErrorIs(t, r.pool.Broken(), unary.ErrProtocol)
			})
		})
	}
}

func TestFlowHeaderTableShrinks(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		p := (*peer)(nil)
		decoder := hpack.NewDecoder(4096, nil)
		for i, size := range []uint32{4096, 200, 0, 100, 4096} {
			if i > 0 {
				require.NoError(t, p.frames.WriteSettings(settings(headerTableSize, size)...))
				require.True(t, next[*http2.SettingsFrame](p).IsAck())
				decoder.SetAllowedMaxDynamicTableSize(size)
			}
			for n := range 3 {
				c := r.start("x")
				if p == nil {
					p = r.greet()
				}
				h := next[*http2.HeadersFrame](p)
				block := h.HeaderBlockFragment()
				smaller := block[0]&0xe0 == 0x20
				require.Equal(t, n == 0 && (i == 1 || i == 2), smaller, "a smaller table is told of once, call %d after change %d", n, i)
				require.Equal(t, method, field(t, decoder, block, ":path"))
				next[*http2.DataFrame](p)
				p.answer(h.StreamID, "")
				c.succeeded(t, "")
			}
		}
	})
}

// A call that is refused for its headers must not leave a trace in the table, of which the server would know nothing.
func TestFlowHeadersThatAreNotSent(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		first := r.start("x")
		p := r.greet(settings(maxHeaderListSize, 1000)...)
		decoder := hpack.NewDecoder(4096, nil)
		for i, c := range []*waited{first, r.with("x", strings.Repeat("x", 1000)), r.with("x", "y"), r.with("x", "y")} {
			if i == 1 {
				c.failed(t, codes.Internal, "header list of")
				continue
			}
			h := next[*http2.HeadersFrame](p)
			got := field(t, decoder, h.HeaderBlockFragment(), "x")
			require.Equal(t, i > 0, got == "y", got)
			next[*http2.DataFrame](p)
			p.answer(h.StreamID, "")
			c.succeeded(t, "")
		}
	})
}

// with starts a call with metadata.
func (r *rig) with(pairs ...string) *waited {
	h, err := unary.NewHeader(pairs...)
	require.NoError(r.t, err)
	c := &waited{}
	c.Method, c.Header, c.Deadline, c.Owner = method, h, time.Now().Add(time.Minute), unary.Func(func(*unary.Call) { c.ended++ })
	r.calls = append(r.calls, c)
	r.pool.Start(&c.Call)
	return c
}

// field decodes a header block and gives one of its fields.
func field(t *testing.T, decoder *hpack.Decoder, block []byte, name string) (value string) {
	t.Helper()
	fields, err := decoder.DecodeFull(block)
	require.NoError(t, err)
	for _, f := range fields {
		if f.Name == name {
			value = f.Value
		}
	}
	return value
}

func TestInvokeGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		failed := make(chan error, 1)
		go func() {
			_, err := r.pool.Invoke(ctx, method, nil, []byte("x"))
			failed <- err
		}()
		p := r.greet()
		id, _ := p.request()
		cancel()
		err := <-failed
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, id, next[*http2.RSTStreamFrame](p).StreamID)
		_, err = r.pool.Invoke(context.Background(), method, nil, nil)
		require.ErrorContains(t, err, "has no deadline")
	})
}

// A token that changes all the time must not fill the memory.
func TestHeaderBlocksAreForgotten(t *testing.T) {
	t.Parallel()
	p := connect(t, nil, unary.Config{Addr: serveNothingAt(t)})
	for i := range 300 {
		h, err := unary.NewHeader("authorization", fmt.Sprint("Bearer ", i))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err = p.Invoke(ctx, method, h, nil)
		cancel()
		require.NoError(t, err)
	}
	require.LessOrEqual(t, p.Blocks(), 64)
}

// What a prefix promises is believed when it comes.
func TestAnswerThatPromisesMuch(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{MaxResponse: 1 << 29}, func(t *testing.T, r *rig) {
		c := r.start("x")
		p := r.greet()
		id, _ := p.request()
		p.begin(id)
		p.data(id, false, "\x00\x10\x00\x00\x00x")
		reset(http2.ErrCodeCancel)(p, id)
		c.failed(t, codes.Canceled, "CANCEL")
		require.Less(t, cap(c.Response), 1<<20)
	})
}

// The end of the context may come right after the answer, and then changes nothing.
func TestInvokeWhoseContextEndsAfterTheAnswer(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.start("x")
		p := r.greet()
		id, _ := p.request()
		p.answer(id, "yes")
		c.succeeded(t, "yes")
		unary.Abandon(&c.Call, context.Canceled)
		c.succeeded(t, "yes")
		p.quiet()
	})
}
