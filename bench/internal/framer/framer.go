// Package framer is the fastest client there is of a gRPC server: unary calls as hand-written HTTP/2 frames, many under way on one
// connection, written in large blocks. It is what servers and clients are measured against, so that no library is what is measured; it
// knows nothing of errors, deadlines or reconnects.
package framer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Framer is one connection. Call and Flush are for one goroutine; Answers runs on another until the connection ends.
type Framer struct {
	conn   net.Conn
	out    *bufio.Writer
	frames *http2.Framer
	header bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32

	mu     sync.Mutex
	room   sync.Cond
	window int64 // bytes that the server takes before it says more
	err    error
}

// maxFrame is what every server takes at least in one frame.
const maxFrame = 16 << 10

// Dial connects to host:port and greets.
func Dial(addr string) (*Framer, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	f := &Framer{conn: conn, out: bufio.NewWriterSize(conn, 64<<10), next: 1, window: 65535}
	f.room.L = &f.mu
	f.frames = http2.NewFramer(f.out, bufio.NewReaderSize(conn, 256<<10))
	f.frames.SetReuseFrames()
	f.hpack = hpack.NewEncoder(&f.header)
	if _, err := f.out.WriteString(http2.ClientPreface); err != nil {
		return nil, err
	}
	if err := f.frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}); err != nil {
		return nil, err
	}
	if err := f.frames.WriteWindowUpdate(0, 1<<30); err != nil {
		return nil, err
	}
	return f, f.out.Flush()
}

// Call writes one request, encoded in message, to a buffer. It waits while the server has no room.
func (f *Framer) Call(path string, message []byte) error {
	f.header.Reset()
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "bench"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := f.hpack.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	body := make([]byte, 5, 5+len(message))
	binary.BigEndian.PutUint32(body[1:], uint32(len(message)))
	body = append(body, message...)
	if err := f.take(int64(len(body))); err != nil {
		return err
	}
	id := f.next
	f.next += 2
	err := f.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.header.Bytes(), EndHeaders: true})
	if err != nil {
		return err
	}
	for ; len(body) > maxFrame; body = body[maxFrame:] {
		if err := f.frames.WriteData(id, false, body[:maxFrame]); err != nil {
			return err
		}
	}
	return f.frames.WriteData(id, true, body)
}

// take waits until the server has room for n more bytes; what was written goes out first, or the server would wait as well.
func (f *Framer) take(n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.window < n && f.err == nil {
		f.mu.Unlock()
		err := f.out.Flush()
		f.mu.Lock()
		if err != nil {
			return err
		}
		if f.window < n && f.err == nil {
			f.room.Wait()
		}
	}
	f.window -= n
	return f.err
}

// Flush sends what Call has written.
func (f *Framer) Flush() error { return f.out.Flush() }

// Close ends the connection, and Answers with it.
func (f *Framer) Close() error { return f.conn.Close() }

// Answers reads until the connection ends: done is called for each call that ended well, data for each piece of an answer's body.
func (f *Framer) Answers(done func(), data func([]byte)) error {
	decoder := hpack.NewDecoder(4096, nil)
	failed := error(nil)
	decoder.SetEmitFunc(func(h hpack.HeaderField) {
		if h.Name == "grpc-status" && h.Value != "0" {
			failed = fmt.Errorf("a call ended with gRPC status %s", h.Value)
		}
	})
	for {
		frame, err := f.frames.ReadFrame()
		if err != nil {
			return f.fail(err)
		}
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			if _, err := decoder.Write(frame.HeaderBlockFragment()); err != nil {
				return f.fail(err)
			}
			if failed != nil {
				return f.fail(failed)
			}
			if frame.StreamEnded() {
				done()
			}
		case *http2.DataFrame:
			data(frame.Data())
		case *http2.WindowUpdateFrame:
			if frame.StreamID == 0 {
				f.mu.Lock()
				f.window += int64(frame.Increment)
				f.room.Signal()
				f.mu.Unlock()
			}
		case *http2.GoAwayFrame:
			return f.fail(fmt.Errorf("the server hung up: %s", frame.ErrCode))
		}
	}
}

func (f *Framer) fail(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.room.Signal()
	return err
}
