package main

import (
	"io"
	"os"

	"github.com/charmbracelet/x/term"
)

// A keyboard hands the keys of a terminal to one form after the other. Each form reads ahead in a goroutine that may outlive it by a
// moment and would swallow the first keys of the next form if it read the terminal itself.
//
// The goroutine that newKeyboard starts ends with the process, because a read from a terminal cannot be called off.
type keyboard struct {
	terminal *os.File
	keys     chan []byte // closed at the end of the input
}

func newKeyboard(terminal *os.File) *keyboard {
	k := &keyboard{terminal: terminal, keys: make(chan []byte)}
	go func() {
		defer close(k.keys)
		for {
			b := make([]byte, 256)
			n, err := terminal.Read(b)
			if n > 0 {
				k.keys <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

// with hands the keys to show until it returns.
func (k *keyboard) with(show func(keys io.Reader) error) error {
	r := &keyReader{terminal: k.terminal, keys: k.keys, done: make(chan struct{})}
	defer close(r.done)
	return show(r)
}

// keyReader reads the keyboard until its form is done. For the form it is a terminal, which the form switches to single keys and
// back; it has no name, which would make the form read the descriptor itself.
type keyReader struct {
	terminal *os.File
	keys     chan []byte
	rest     []byte
	done     chan struct{}
}

var _ term.File = (*keyReader)(nil)

func (r *keyReader) Fd() uintptr                 { return r.terminal.Fd() }
func (r *keyReader) Write(p []byte) (int, error) { return r.terminal.Write(p) }
func (r *keyReader) Close() error                { return nil } // the next form goes on with the terminal

func (r *keyReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		select {
		case <-r.done: // looked at first: a key that comes now is the next form's
			return 0, io.EOF
		default:
		}
		select {
		case <-r.done:
			return 0, io.EOF
		case b, ok := <-r.keys:
			if !ok {
				return 0, io.EOF
			}
			r.rest = b
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
