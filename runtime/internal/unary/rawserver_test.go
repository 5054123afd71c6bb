package unary_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveNothing answers every request on l with the same few bytes, at next to no cost: what a client is measured with.
func serveNothing(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_ = answerAll(c) // the client has gone
		}()
	}
}

func answerAll(c io.ReadWriter) error {
	in, out := bufio.NewReaderSize(c, 256<<10), new(bytes.Buffer)
	frames := http2.NewFramer(out, in)
	if _, err := in.Discard(len(http2.ClientPreface)); err != nil {
		return err
	}
	if err := frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}); err != nil {
		return err
	}
	if err := frames.WriteWindowUpdate(0, 1<<30); err != nil {
		return err
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	encode := func(fields ...string) []byte {
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a buffer takes everything
		}
		return bytes.Clone(block.Bytes())
	}
	var headers, trailers []byte
	answers, taken := 0, uint32(0)
	for {
		if in.Buffered() < 9 && out.Len() > 0 {
			if _, err := c.Write(out.Bytes()); err != nil {
				return err
			}
			out.Reset()
		}
		head, err := in.Peek(9)
		if err != nil {
			return err
		}
		length := int(binary.BigEndian.Uint32(head) >> 8)
		kind, flags, id := http2.FrameType(head[3]), http2.Flags(head[4]), binary.BigEndian.Uint32(head[5:])
		if kind == http2.FrameData {
			taken += uint32(length)
		}
		if taken >= 1<<28 {
			_ = frames.WriteWindowUpdate(0, taken) // a buffer takes everything
			taken = 0
		}
		if _, err := in.Discard(9 + length); err != nil {
			return err
		}
		if (kind == http2.FrameHeaders || kind == http2.FrameData) && flags.Has(http2.FlagDataEndStream) {
			if answers++; answers <= 2 { // the first fills the table, the second refers to it, as all later ones do
				headers = encode(":status", "200", "content-type", "application/grpc")
				trailers = encode("grpc-status", "0", "grpc-message", "")
			}
			// A buffer takes everything.
			_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headers, EndHeaders: true})
			_ = frames.WriteData(id, false, []byte{0, 0, 0, 0, 3, 8, 0x80, 1})
			_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: trailers, EndHeaders: true, EndStream: true})
		}
	}
}

// serveNothingAt runs serveNothing for a test and gives its address.
func serveNothingAt(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go serveNothing(l)
	return l.Addr().String()
}
