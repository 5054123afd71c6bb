package danubetest

import "google.golang.org/grpc"

// A receive stream waits for most of its life, on a goroutine of its own. Its stack stays as large as the deepest call needed, since
// waiting takes more than the quarter of it below which the garbage collector makes it smaller: 8 KiB once a message was encoded or
// decoded, where 4 KiB are enough to wait. So a stream makes such calls elsewhere.

// elsewhere calls f on another stack and waits for it.
func elsewhere(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return <-done
}

// shallow is a stream whose request is read elsewhere.
type shallow struct{ grpc.ServerStream }

// RecvMsg implements [grpc.ServerStream].
func (s shallow) RecvMsg(m any) error {
	return elsewhere(func() error { return s.ServerStream.RecvMsg(m) })
}
