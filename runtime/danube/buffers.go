package danube

import "sync"

// maxPooled keeps a few large messages from holding their memory for ever.
const maxPooled = 64 << 10

// buffers holds *[]byte of requests that were answered.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// getBuffer gives an empty buffer; n is how much room its user guesses to need for content.
func getBuffer(n int) []byte {
	b := *buffers.Get().(*[]byte)
	if need := n + messageOverhead; cap(b) < need {
		b = make([]byte, 0, need)
	}
	return b[:0]
}

// putBuffer takes back what getBuffer gave.
func putBuffer(b []byte) {
	if cap(b) <= maxPooled {
		buffers.Put(&b)
	}
}
