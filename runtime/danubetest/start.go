package danubetest

import "net"

// TB is what [Start] needs of a *testing.T or *testing.B.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// startHistory is the History of brokers for tests, which look at what was published.
const startHistory = 100_000

// Start serves a new broker, client and admin API, on free ports of the loopback address until the test ends.
func Start(tb TB, opts ...Option) *Broker {
	tb.Helper()
	b, err := New(append([]Option{History(startHistory)}, opts...)...)
	if err != nil {
		tb.Fatalf("start broker: %v", err)
	}
	client, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("start broker: %v", err)
	}
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("start broker: %v", err)
	}
	if err := b.Serve(client, admin); err != nil {
		tb.Fatalf("start broker: %v", err)
	}
	tb.Cleanup(b.Close)
	return b
}
