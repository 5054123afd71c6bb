package unary_test

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// FuzzServer lets a server send anything, frame by frame: five bytes of input are a frame's kind, flags, stream, and length, then comes
// its content; odd kinds beyond the known ones are sent as they are, or let time pass. Whatever comes, every call ends once, and once the pool is
// closed nothing is left: the bubble would not end.
func FuzzServer(f *testing.F) {
	frame := func(kind http2.FrameType, flags http2.Flags, id byte, payload string) string {
		return string([]byte{byte(kind), byte(flags), id, byte(len(payload) >> 8), byte(len(payload))}) + payload
	}
	headers := frame(http2.FrameHeaders, 4, 1, "\x88\x5f\x10application/grpc")
	trailers := frame(http2.FrameHeaders, 5, 1, "\x40\x0bgrpc-status\x010")
	message := frame(http2.FrameData, 0, 1, "\x00\x00\x00\x00\x02ok")
	settings := frame(http2.FrameSettings, 0, 0, "\x00\x03\x00\x00\x00\x02\x00\x04\x00\x00\x00\x05")
	f.Add([]byte(settings + headers + message + trailers))
	f.Add([]byte(settings + headers + message + trailers + frame(http2.FrameWindowUpdate, 0, 3, "\x00\x01\x00\x00") + frame(http2.FrameRSTStream, 0, 3, "\x00\x00\x00\x08")))
	f.Add([]byte(settings + frame(http2.FrameGoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00\x00bye") + headers + message + trailers))
	f.Add([]byte(settings + frame(http2.FrameHeaders, 0, 1, "\x88") + frame(http2.FrameContinuation, 4, 1, "\x5f\x10application/grpc") + frame(http2.FrameData, 8, 1, "\x01\x00\x00")))
	f.Add([]byte(settings + frame(http2.FramePing, 0, 0, "12345678") + frame(0xf1, 0, 9, "") + frame(0xf1, 0, 0, "") + trailers))
	f.Add([]byte(settings + frame(http2.FrameSettings, 0, 0, "\x00\x01\x00\x00\x00\x00\x00\x05\x00\x00\x40\x01") + headers + trailers))
	f.Fuzz(func(t *testing.T, script []byte) {
		inRig(t, unary.Config{}, func(t *testing.T, r *rig) {
			for _, request := range []string{"a", "", string(make([]byte, 100_000))} {
				r.start(request)
			}
			p := r.accept()
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for {
					if _, err := p.frames.ReadFrame(); err != nil {
						return
					}
				}
			}()
			p.play(bytes.NewBuffer(script), r)
			p.conn.Close()
			<-drained
			time.Sleep(10 * time.Second) // past all deadlines
		})
	})
}

// play sends what a fuzzer's script says, as long as the client listens.
func (p *peer) play(script *bytes.Buffer, r *rig) {
	for script.Len() >= 5 {
		head := script.Next(5)
		kind, length := head[0], int(head[3])<<8|int(head[4])
		switch {
		case kind == 0xf1:
			time.Sleep(time.Duration(head[2]) * 100 * time.Millisecond)
		case kind == 0xf2:
			r.start("more")
		case kind == 0xf3: // no frame at all
			if _, err := p.conn.Write(script.Next(length)); err != nil {
				return
			}
		default:
			if p.frames.WriteRawFrame(http2.FrameType(kind), http2.Flags(head[1]), uint32(head[2]), script.Next(length)) != nil {
				return
			}
		}
	}
}
