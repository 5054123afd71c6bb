package unary

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// A Header is metadata made ready for many calls. It never changes; make a new one when a token does.
type Header struct {
	fields []hpack.HeaderField
}

// NewHeader takes keys and values in turn. Keys are lower case; the values of keys that end in -bin may be any bytes, those of others
// are text of one line. A key that the protocol owns is refused.
func NewHeader(pairs ...string) (*Header, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("metadata: %d keys and values, where each key needs a value", len(pairs))
	}
	h := &Header{}
	for i := 0; i < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		switch {
		case !httpguts.ValidHeaderFieldName(key) || key != strings.ToLower(key):
			return nil, fmt.Errorf("metadata: key %q is not a lower case header name", key)
		case strings.HasPrefix(key, "grpc-") || key == "content-type" || key == "te" || key == "connection":
			return nil, fmt.Errorf("metadata: key %q belongs to the protocol", key)
		case strings.HasSuffix(key, "-bin"):
			value = base64.RawStdEncoding.EncodeToString([]byte(value))
		case !httpguts.ValidHeaderFieldValue(value): // not shown, it may be a secret
			return nil, fmt.Errorf("metadata: the value of %q has characters that a header cannot carry", key)
		}
		h.fields = append(h.fields, hpack.HeaderField{Name: key, Value: value})
	}
	return h, nil
}

// maxBlocks bounds how many header blocks one connection remembers; each new token makes new ones.
const maxBlocks = 64

// A headerWriter encodes the headers of requests on one connection. It belongs to whoever holds the link's lock.
//
// Every field but the deadline goes into HPACK's dynamic table, secrets too: what compression could leak of them is of use only to somebody
// who may put own headers onto the same connection. So from the second call on a block is a few bytes of references, which stay
// right until something is added to the table or falls out of it. The writer therefore keeps finished blocks, and counts changes.
type headerWriter struct {
	scheme, authority string

	enc    *hpack.Encoder
	buf    bytes.Buffer
	blocks map[blockKey]block
	change int
}

type blockKey struct {
	method string
	header *Header
}

type block struct {
	fields []hpack.HeaderField
	size   uint32
	bytes  []byte
	change int // how many the table had seen before these bytes; if it has seen more, they are void
}

func newHeaderWriter(scheme, authority string) *headerWriter {
	w := &headerWriter{scheme: scheme, authority: authority, blocks: make(map[blockKey]block), change: 1}
	w.enc = hpack.NewEncoder(&w.buf)
	return w
}

// limit takes the server's SETTINGS_HEADER_TABLE_SIZE.
func (w *headerWriter) limit(n uint32) {
	w.enc.SetMaxDynamicTableSizeLimit(n)
	w.change++
}

// encode gives the block of a call but for its deadline; the bytes are good until the next call of encode. The size is of the whole header list,
// as SETTINGS_MAX_HEADER_LIST_SIZE counts; if it is above most, nothing is encoded, for the server must see all that is.
func (w *headerWriter) encode(method string, h *Header, most uint32) (bytes []byte, size uint32) {
	key := blockKey{method, h}
	b, ok := w.blocks[key]
	if !ok {
		b.fields = w.fields(method, h)
		b.size = maxTimeoutLen
		for _, f := range b.fields {
			b.size += f.Size()
		}
		if len(w.blocks) >= maxBlocks {
			clear(w.blocks)
		}
	}
	if b.size > most || ok && b.change == w.change {
		return b.bytes, b.size
	}
	w.buf.Reset()
	change := w.change
	for _, f := range b.fields {
		at := w.buf.Len()
		_ = w.enc.WriteField(f) // a bytes.Buffer takes everything
		// A literal that enters the table (01…) or a new size of it (001…): this block is good once only.
		if first := w.buf.Bytes()[at]; first&0xc0 == 0x40 || first&0xe0 == 0x20 {
			w.change++
		}
	}
	b.bytes, b.change = append(b.bytes[:0], w.buf.Bytes()...), change
	w.blocks[key] = b
	return b.bytes, b.size
}

// fields is the whole header list but for the deadline; pseudo-headers come first.
func (w *headerWriter) fields(method string, h *Header) []hpack.HeaderField {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: w.scheme}, {Name: ":authority", Value: w.authority}, {Name: ":path", Value: method},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}
	if h != nil {
		fields = append(fields, h.fields...)
	}
	return fields
}

const (
	timeoutName   = "grpc-timeout"
	maxTimeout    = 99_999_999 // eight digits are what the protocol allows
	maxTimeoutLen = uint32(len(timeoutName) + 9 + 32)
)

// appendTimeout appends the deadline as a literal that stays out of the table, for it hardly ever comes twice. It is rounded up, so that the
// client's own clock ends the call and not the server's: servers answer late calls in ways of their own.
func appendTimeout(b []byte, left time.Duration) []byte {
	b = append(b, 0, byte(len(timeoutName)))
	b = append(b, timeoutName...)
	at := len(b)
	b = append(b, 0)
	if ms := (left + time.Millisecond - 1) / time.Millisecond; ms <= maxTimeout {
		b = append(strconv.AppendInt(b, int64(ms), 10), 'm')
	} else {
		b = append(strconv.AppendInt(b, int64(min((left+time.Second-1)/time.Second, maxTimeout)), 10), 'S')
	}
	b[at] = byte(len(b) - at - 1)
	return b
}
