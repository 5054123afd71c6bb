package unary_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// What breaks the rules of HTTP/2 for the whole connection: the call fails, the peer is told why, and the pool says that it is broken.
func TestHostileConnection(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		send func(p *peer, id uint32)
		code http2.ErrCode // of GOAWAY
	}{
		"DATA on stream 0":          {func(p *peer, _ uint32) { p.data(0, false, "x") }, http2.ErrCodeProtocol},
		"DATA on an idle stream":    {func(p *peer, id uint32) { p.data(id+2, false, "x") }, http2.ErrCodeProtocol},
		"HEADERS on stream 0":       {func(p *peer, _ uint32) { p.begin(0) }, http2.ErrCodeProtocol},
		"HEADERS on an idle stream": {func(p *peer, id uint32) { p.begin(id + 2) }, http2.ErrCodeProtocol},
		"HEADERS on an even stream": {func(p *peer, _ uint32) { p.begin(2) }, http2.ErrCodeProtocol},
		"a frame too large": {func(p *peer, id uint32) {
			_, err := p.conn.Write([]byte{0, 0x40, 1, 0, 0, 0, 0, 0, byte(id)})
			require.NoError(p.t, err)
		}, http2.ErrCodeFrameSize},
		"DATA padded beyond its length": {func(p *peer, id uint32) {
			p.begin(id)
			p.raw(http2.FrameData, http2.FlagDataPadded, id, "\x09x")
		}, http2.ErrCodeProtocol},
		"HEADERS padded beyond its length": {func(p *peer, id uint32) { p.raw(http2.FrameHeaders, http2.FlagHeadersPadded|4, id, "\x09\x88") }, http2.ErrCodeProtocol},
		"HEADERS too short for a priority": {func(p *peer, id uint32) { p.raw(http2.FrameHeaders, http2.FlagHeadersPriority|4, id, "\x01") }, http2.ErrCodeProtocol},
		"PUSH_PROMISE": {func(p *peer, id uint32) {
			require.NoError(p.t, p.frames.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, EndHeaders: true}))
		}, http2.ErrCodeProtocol},
		"SETTINGS of a wrong length":     {func(p *peer, _ uint32) { p.raw(http2.FrameSettings, 0, 0, "12345") }, http2.ErrCodeFrameSize},
		"SETTINGS on a stream":           {func(p *peer, id uint32) { p.raw(http2.FrameSettings, 0, id, "") }, http2.ErrCodeProtocol},
		"SETTINGS ack with content":      {func(p *peer, _ uint32) { p.raw(http2.FrameSettings, http2.FlagSettingsAck, 0, "123456") }, http2.ErrCodeFrameSize},
		"SETTINGS with a window of 2^31": {func(p *peer, _ uint32) { p.raw(http2.FrameSettings, 0, 0, "\x00\x04\x80\x00\x00\x00") }, http2.ErrCodeFlowControl},
		"SETTINGS with tiny frames":      {func(p *peer, _ uint32) { p.raw(http2.FrameSettings, 0, 0, "\x00\x05\x00\x00\x00\x64") }, http2.ErrCodeProtocol},
		"SETTINGS that enables push":     {func(p *peer, _ uint32) { p.raw(http2.FrameSettings, 0, 0, "\x00\x02\x00\x00\x00\x01") }, http2.ErrCodeProtocol},
		"WINDOW_UPDATE by nothing":       {func(p *peer, _ uint32) { p.raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00") }, http2.ErrCodeProtocol},
		"WINDOW_UPDATE beyond all": {func(p *peer, _ uint32) {
			require.NoError(p.t, p.frames.WriteWindowUpdate(0, 1<<31-1))
		}, http2.ErrCodeFlowControl},
		"WINDOW_UPDATE on an idle stream": {func(p *peer, id uint32) {
			require.NoError(p.t, p.frames.WriteWindowUpdate(id+2, 1))
		}, http2.ErrCodeProtocol},
		"WINDOW_UPDATE of a wrong length": {func(p *peer, _ uint32) { p.raw(http2.FrameWindowUpdate, 0, 0, "123") }, http2.ErrCodeFrameSize},
		"PING of a wrong length":          {func(p *peer, _ uint32) { p.raw(http2.FramePing, 0, 0, "1234567") }, http2.ErrCodeFrameSize},
		"PING on a stream":                {func(p *peer, id uint32) { p.raw(http2.FramePing, 0, id, "12345678") }, http2.ErrCodeProtocol},
		"RST_STREAM on an idle stream": {func(p *peer, id uint32) {
			require.NoError(p.t, p.frames.WriteRSTStream(id+2, http2.ErrCodeCancel))
		}, http2.ErrCodeProtocol},
		"RST_STREAM of a wrong length": {func(p *peer, id uint32) { p.raw(http2.FrameRSTStream, 0, id, "123") }, http2.ErrCodeFrameSize},
		"GOAWAY on a stream":           {func(p *peer, id uint32) { p.raw(http2.FrameGoAway, 0, id, "12345678") }, http2.ErrCodeProtocol},
		"GOAWAY with an even stream":   {func(p *peer, _ uint32) { require.NoError(p.t, p.frames.WriteGoAway(2, 0, nil)) }, http2.ErrCodeProtocol},
		"GOAWAY that takes back another": {func(p *peer, id uint32) {
			require.NoError(p.t, p.frames.WriteGoAway(id, 0, nil))
			require.NoError(p.t, p.frames.WriteGoAway(id+2, 0, nil))
		}, http2.ErrCodeProtocol},
		"CONTINUATION of nothing": {func(p *peer, id uint32) { p.raw(http2.FrameContinuation, 0, id, "") }, http2.ErrCodeProtocol},
		"DATA within a header block": {func(p *peer, id uint32) {
			p.raw(http2.FrameHeaders, 0, id, "\x88")
			p.data(id, false, "x")
		}, http2.ErrCodeProtocol},
		"CONTINUATION of another stream's block": {func(p *peer, id uint32) {
			p.raw(http2.FrameHeaders, 0, id, "\x88")
			p.raw(http2.FrameContinuation, 4, id+2, "")
		}, http2.ErrCodeProtocol},
		"a header block that refers to nothing": {func(p *peer, id uint32) { p.raw(http2.FrameHeaders, 4, id, "\xff\x20") }, http2.ErrCodeCompression},
		"a header block that is cut off":        {func(p *peer, id uint32) { p.raw(http2.FrameHeaders, 4, id, "\x88\x40\x0aab") }, http2.ErrCodeCompression},
		"a header of 100 KB": {func(p *peer, id uint32) {
			p.raw(http2.FrameHeaders, 0, id, string(p.fields("x", strings.Repeat("~", 100_000))[:16000]))
		}, http2.ErrCodeCompression},
		"a header block without end": {func(p *peer, id uint32) {
			p.raw(http2.FrameHeaders, 0, id, "\x88")
			for range 20_000 { // of nothing
				if err := p.frames.WriteRawFrame(http2.FrameContinuation, 0, id, nil); err != nil {
					return
				}
			}
		}, http2.ErrCodeEnhanceYourCalm},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
				c := r.start("x")
				p := r.greet()
				id, _ := p.request()
				goAway := make(chan *http2.GoAwayFrame, 1)
				go func() {
					defer close(goAway)
					for {
						f, err := p.frames.ReadFrame()
						if err != nil {
							return
						}
						if g, ok := f.(*http2.GoAwayFrame); ok {
							goAway <- g
						}
					}
				}()
				tt.send(p, id)
				c.failed(t, codes.Unavailable, "")
				require.ErrorIs(t, c.Err(), unary.ErrProtocol)
				require.False(t, c.Unprocessed)
				require.ErrorIs(t, r.pool.Broken(), unary.ErrProtocol)
				g := <-goAway
				require.NotNil(t, g, "the peer was not told")
				require.Equal(t, tt.code, g.ErrCode)
			})
		})
	}
}

// What is wrong with one answer fails that call; the connection serves the next.
func TestHostileAnswer(t *testing.T) {
	t.Parallel()
	const ok = "\x00\x00\x00\x00\x01m"
	tests := map[string]struct {
		send func(p *peer, id uint32)
		code codes.Code
		text string
	}{
		"HTML from a proxy": {func(p *peer, id uint32) {
			p.headers(id, false, ":status", "502", "content-type", "text/html")
			p.data(id, true, "<html>")
		}, codes.Unavailable, `502 (Bad Gateway); received unexpected content-type "text/html"`},
		"not found":    {func(p *peer, id uint32) { p.headers(id, true, ":status", "404") }, codes.Unimplemented, "404 (Not Found)"},
		"unauthorized": {func(p *peer, id uint32) { p.headers(id, true, ":status", "401") }, codes.Unauthenticated, "401"},
		"forbidden":    {func(p *peer, id uint32) { p.headers(id, true, ":status", "403") }, codes.PermissionDenied, "403"},
		"bad request":  {func(p *peer, id uint32) { p.headers(id, true, ":status", "400") }, codes.Internal, "400"},
		"a teapot":     {func(p *peer, id uint32) { p.headers(id, true, ":status", "418") }, codes.Unknown, "418"},
		"a similar type": {func(p *peer, id uint32) {
			p.headers(id, true, ":status", "200", "content-type", "application/grpcx", "grpc-status", "0")
		}, codes.Unknown, "application/grpcx"},
		"503 without grpc-status": {func(p *peer, id uint32) {
			p.headers(id, true, ":status", "503", "content-type", "application/grpc")
		}, codes.Unavailable, "503"},
		"no HTTP status":              {func(p *peer, id uint32) { p.headers(id, true, "content-type", "application/grpc", "grpc-status", "0") }, codes.Internal, "missing HTTP status"},
		"two HTTP statuses":           {func(p *peer, id uint32) { p.headers(id, true, ":status", "200", ":status", "200") }, codes.Internal, "malformed header"},
		"an HTTP status that is none": {func(p *peer, id uint32) { p.headers(id, true, ":status", "abc") }, codes.Internal, "malformed header"},
		"an HTTP status in the end":   {func(p *peer, id uint32) { p.headers(id, true, "content-type", "application/grpc", ":status", "200") }, codes.Internal, "malformed header"},
		"an unknown pseudo-header":    {func(p *peer, id uint32) { p.headers(id, true, ":status", "200", ":path", "/") }, codes.Internal, "malformed header"},
		"upper case":                  {func(p *peer, id uint32) { p.headers(id, true, ":status", "200", "Date", "x") }, codes.Internal, "malformed header"},
		"an HTTP status in trailers": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, ok)
			p.headers(id, true, ":status", "200", "grpc-status", "0")
		}, codes.Internal, "in trailers"},
		"a header list too long": {func(p *peer, id uint32) {
			list := []string{":status", "200", "content-type", "application/grpc", "grpc-status", "0"}
			for range 40 { // all but the first by reference: short to write, long to read
				list = append(list, "x-long", strings.Repeat("v", 2000))
			}
			p.headers(id, true, list...)
		}, codes.Internal, "header list size"},
		"1xx at the end":      {func(p *peer, id uint32) { p.headers(id, true, ":status", "103") }, codes.Internal, "informational"},
		"DATA before HEADERS": {func(p *peer, id uint32) { p.data(id, false, ok) }, codes.Internal, "without headers"},
		"HEADERS three times": {func(p *peer, id uint32) {
			p.begin(id)
			p.headers(id, false, "grpc-status", "0")
		}, codes.Internal, "in the middle"},
		"no trailers": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, true, ok)
		}, codes.Internal, "without sending trailers"},
		"trailers without a status": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, ok)
			p.headers(id, true, "date", "today")
		}, codes.Unknown, "without a grpc-status"},
		"a status that is none": {func(p *peer, id uint32) {
			p.begin(id)
			p.trailers(id, "abc")
		}, codes.Unknown, "malformed grpc-status"},
		"an unknown status": {func(p *peer, id uint32) {
			p.begin(id)
			p.headers(id, true, "grpc-status", "77", "grpc-message", "a%20b%2")
		}, codes.Code(77), "a b%2"},
		"trailers only": {func(p *peer, id uint32) {
			p.headers(id, true, ":status", "200", "content-type", "application/grpc+proto", "grpc-status", "5", "grpc-message", "gone%")
		}, codes.NotFound, "gone%"},
		"a message and an error": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, ok)
			p.trailers(id, "9")
		}, codes.FailedPrecondition, ""},
		"no message": {func(p *peer, id uint32) {
			p.begin(id)
			p.trailers(id, "0")
		}, codes.Internal, "cut off"},
		"a message cut off": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, "\x00\x00\x00\x00\x05mess")
			p.trailers(id, "0")
		}, codes.Internal, "cut off"},
		"a prefix cut off": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, "\x00\x00\x00\x00")
			p.trailers(id, "0")
		}, codes.Internal, "cut off"},
		"two messages": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, ok+ok)
		}, codes.Internal, "goes on"},
		"a compressed message": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, "\x01\x00\x00\x00\x01m")
		}, codes.Internal, "compressed"},
		"a message too large": {func(p *peer, id uint32) {
			p.begin(id)
			p.data(id, false, "\x00\xff\xff\xff\xffm")
		}, codes.ResourceExhausted, "larger than max (4294967295 vs. 1000)"},
		"reset":             {reset(http2.ErrCodeCancel), codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL"},
		"reset for no why":  {reset(http2.ErrCodeNo), codes.Internal, "NO_ERROR"},
		"reset for calm":    {reset(http2.ErrCodeEnhanceYourCalm), codes.ResourceExhausted, "ENHANCE_YOUR_CALM"},
		"reset for secrecy": {reset(http2.ErrCodeInadequateSecurity), codes.PermissionDenied, "INADEQUATE_SECURITY"},
		"reset for unknown": {reset(99), codes.Unknown, "unknown error code 0x63"},
		"refused":           {reset(http2.ErrCodeRefusedStream), codes.Unavailable, "REFUSED_STREAM"},
		"WINDOW_UPDATE by nothing": {func(p *peer, id uint32) {
			p.raw(http2.FrameWindowUpdate, 0, id, "\x00\x00\x00\x00")
		}, codes.Internal, "PROTOCOL_ERROR"},
		"WINDOW_UPDATE beyond all": {func(p *peer, id uint32) {
			require.NoError(p.t, p.frames.WriteWindowUpdate(id, 1<<31-1))
		}, codes.ResourceExhausted, "window"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inRig(t, unary.Config{MaxResponse: 1000}, func(t *testing.T, r *rig) {
				c := r.start("x")
				p := r.greet()
				id, _ := p.request()
				tt.send(p, id)
				c.failed(t, tt.code, tt.text)
				require.Equal(t, name == "refused", c.Unprocessed)
				require.NoError(t, r.pool.Broken())

				// Whatever comes for a stream that is gone is read, and nothing else.
				p.headers(id, false, "x-new", "in the table")
				p.data(id, true, "late")
				require.NoError(t, p.frames.WriteRSTStream(id, http2.ErrCodeCancel))
				require.NoError(t, p.frames.WriteWindowUpdate(id, 1))
				c = r.start("y")
				id = p.requestAfterReset(id)
				p.headers(id, false, ":status", "200", "content-type", "application/grpc", "x-new", "in the table")
				p.message(id, "fine")
				p.trailers(id, "0")
				c.succeeded(t, "fine")
			})
		})
	}
}

func reset(code http2.ErrCode) func(*peer, uint32) {
	return func(p *peer, id uint32) { require.NoError(p.t, p.frames.WriteRSTStream(id, code)) }
}

// requestAfterReset reads the next request, before which the stream of an earlier call may be reset.
func (p *peer) requestAfterReset(before uint32) uint32 {
	for {
		f, err := p.read()
		require.NoError(p.t, err)
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			require.Equal(p.t, before, f.StreamID)
		case *http2.DataFrame:
			require.True(p.t, f.StreamEnded())
			return f.StreamID
		}
	}
}

func TestUnusualButAllowed(t *testing.T) {
	t.Parallel()
	inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
		c := r.start("x")
		p := r.greet(http2.Setting{ID: 0x99, Val: 7})
		id, _ := p.request()
		p.raw(0x42, 0xff, 0, "an unknown frame")
		p.raw(http2.FramePriority, 0, id, "\x00\x00\x00\x00\x01")
		p.headers(id, false, ":status", "100")
		p.headers(id, false, ":status", "103", "link", "x")
		block := p.fields(":status", "200", "content-type", "application/grpc;charset=x", "date", "today")
		require.NoError(t, p.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:1], PadLength: 9,
			Priority: http2.PriorityParam{Weight: 3}}))
		require.NoError(t, p.frames.WriteContinuation(id, false, nil))
		require.NoError(t, p.frames.WriteContinuation(id, true, block[1:]))
		for _, b := range []byte("\x00\x00\x00\x00\x03abc") {
			require.NoError(t, p.frames.WriteDataPadded(id, false, []byte{b}, make([]byte, 200)))
			p.data(id, false, "")
		}
		p.trailers(id, "0")
		c.succeeded(t, "abc")
		require.NoError(t, p.frames.WritePing(false, [8]byte{1, 2}))
		pong := next[*http2.PingFrame](p)
		require.True(t, pong.IsAck())
		require.Equal(t, [8]byte{1, 2}, pong.Data)
		p.quiet() // no stream was reset
	})
}
