package danube

import "sync"

// maxPooled keeps a few large messages from holding their memory for ever.
const maxPooled = 64 << 10

// A buffer holds an encoded request until it is answered.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// getBuffer gives an empty buffer with room for n bytes of content and what stands around it.
func getBuffer(n int) *buffer {
	b := buffers.Get().(*buffer)
	if need := n + messageOverhead; cap(b.bytes) < need {
		b.bytes = make([]byte, 0, need)
	}
	b.bytes = b.bytes[:0]
	return b
}

func (b *buffer) free() {
	if cap(b.bytes) <= maxPooled {
		buffers.Put(b)
	}
}
