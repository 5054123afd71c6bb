package unary_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/queue"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

// benchServer names the server that a process of this test is to be, so that only the client's work is measured.
const benchServer = "UNARY_BENCH_SERVER"

// beServer serves until stdin ends.
func beServer(kind string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	if kind == "nothing" {
		go serveNothing(l)
	} else {
		s := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			var request []byte
			if err := stream.RecvMsg(&request); err != nil {
				return err
			}
			return stream.SendMsg(&[]byte{8, 0x80, 1})
		}))
		go func() { _ = s.Serve(l) }() // ends with the process
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark has gone
}

func startServer(b *testing.B, kind string) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServer+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		in.Close()
		require.NoError(b, cmd.Wait())
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(addr)
}

// A client makes n calls with a request, so many at a time.
type client func(b *testing.B, addr string, request []byte, n, inFlight int)

var clients = []struct {
	name  string
	calls client
}{{"raw", rawCalls}, {"unary", unaryCalls}, {"invoke", invokeCalls}, {"grpc-go", grpcCalls}}

// BenchmarkClients compares calls through this package, by Start and by Invoke, with the least that HTTP/2 allows (raw) and with grpc-go, each
// against a server in another process that does next to nothing or is grpc-go's. CPU and allocations are those of the client alone. The clients
// take turns, so that what else the machine does hits all of them; figures ending in /raw and /grpc-go are ratios of calls a second.
func BenchmarkClients(b *testing.B) {
	for _, server := range []string{"nothing", "grpc-go"} {
		for _, size := range []int{40, 1100} { // an Ack, a SendMessage of 1 KiB
			for _, inFlight := range []int{1, 16, 64, 190} {
				b.Run(fmt.Sprintf("server=%s/size=%d/inflight=%d", server, size, inFlight), func(b *testing.B) {
					compareClients(b, startServer(b, server), make([]byte, size), inFlight)
				})
			}
		}
	}
}

func compareClients(b *testing.B, addr string, request []byte, inFlight int) {
	const turns = 4
	n := b.N/turns + 1
	spent := make([]usage, len(clients))
	for turn := range turns + 1 {
		for i, c := range clients {
			before := usageNow(b)
			c.calls(b, addr, request, n, inFlight)
			if turn > 0 { // the first warms the process up
				spent[i].add(usageNow(b), before)
			}
		}
	}
	b.ReportMetric(0, "ns/op") // it would count all clients
	calls := float64(turns * n)
	for i, c := range clients {
		b.ReportMetric(calls/spent[i].time.Seconds(), c.name+"-calls/s")
		b.ReportMetric(float64(spent[i].cpu)/calls, c.name+"-cpu-ns")
		b.ReportMetric(float64(spent[i].mallocs)/calls, c.name+"-allocs")
	}
	for _, i := range []int{1, 2} {
		b.ReportMetric(spent[0].time.Seconds()/spent[i].time.Seconds(), clients[i].name+"/raw")
		b.ReportMetric(spent[3].time.Seconds()/spent[i].time.Seconds(), clients[i].name+"/grpc-go")
	}
}

// A usage is what this process has taken.
type usage struct {
	time, cpu time.Duration
	mallocs   uint64
}

func (u *usage) add(after, before usage) {
	u.time += after.time - before.time
	u.cpu += after.cpu - before.cpu
	u.mallocs += after.mallocs - before.mallocs
}

var started = time.Now()

func usageNow(b *testing.B) usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{time: time.Since(started), cpu: cpuTime(b), mallocs: m.Mallocs}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchTimeout = 15 * time.Second

func unaryCalls(b *testing.B, addr string, request []byte, n, inFlight int) {
	p := unary.New(unary.Config{Addr: addr})
	defer p.Close()
	var left, ended atomic.Int64
	left.Store(int64(n))
	done := make(chan struct{})
	next := func(c *unary.Call) {
		if left.Add(-1) >= 0 {
			c.Deadline = time.Now().Add(benchTimeout)
			p.Start(c)
		}
	}
	for range inFlight {
		next(&unary.Call{Method: method, Request: request, Owner: unary.Func(func(c *unary.Call) {
			if err := c.Err(); err != nil {
				panic(err)
			}
			if ended.Add(1) == int64(n) {
				close(done)
			}
			next(c)
		})})
	}
	<-done
}

func invokeCalls(b *testing.B, addr string, request []byte, n, inFlight int) {
	p := unary.New(unary.Config{Addr: addr})
	defer p.Close()
	inParallel(b, n, inFlight, func(ctx context.Context) error {
		_, err := p.Invoke(ctx, method, nil, request)
		return err
	})
}

func grpcCalls(b *testing.B, addr string, request []byte, n, inFlight int) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})),
		grpc.WithInitialWindowSize(16<<20), grpc.WithInitialConnWindowSize(32<<20))
	require.NoError(b, err)
	defer conn.Close()
	inParallel(b, n, inFlight, func(ctx context.Context) error {
		var response []byte
		return conn.Invoke(ctx, method, &request, &response)
	})
}

func inParallel(b *testing.B, n, inFlight int, call func(context.Context) error) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				ctx, cancel := context.WithTimeout(b.Context(), benchTimeout)
				err := call(ctx)
				cancel()
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// rawCalls is the least that a client can do: frames made once and only numbered anew, answers counted by their last frame.
func rawCalls(b *testing.B, addr string, request []byte, n, inFlight int) {
	conn, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	defer conn.Close()
	var greeting bytes.Buffer
	greeting.WriteString(http2.ClientPreface)
	frames := http2.NewFramer(&greeting, nil)
	require.NoError(b, frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}))
	require.NoError(b, frames.WriteWindowUpdate(0, 1<<30))
	_, err = conn.Write(greeting.Bytes())
	require.NoError(b, err)
	slots := make(chan struct{}, inFlight) // holds one token for each call under way
	windows := queue.New[int64]()          // what the server grants
	go countAnswers(conn, slots, windows)
	window := int64(65535)
	out := make([]byte, 0, 128<<10)
	for i := range n {
		for full := true; full; {
			select {
			case slots <- struct{}{}:
				full = false
			default:
				if len(out) == 0 {
					slots <- struct{}{}
					full = false
					break
				}
				_, err := conn.Write(out)
				require.NoError(b, err)
				out = out[:0]
			}
		}
		for window < int64(len(request))+5 {
			_, err := conn.Write(out)
			require.NoError(b, err)
			out = out[:0]
			granted, err := windows.Pop(b.Context())
			require.NoError(b, err)
			window += granted
		}
		window -= int64(len(request)) + 5
		out = appendRaw(out, addr, uint32(2*i+1), request)
		if len(out) > 64<<10 {
			_, err := conn.Write(out)
			require.NoError(b, err)
			out = out[:0]
		}
	}
	_, err = conn.Write(out)
	require.NoError(b, err)
	for range inFlight {
		slots <- struct{}{}
	}
}

var rawBlocks sync.Map // address to the two header blocks: the one that fills the table, and the one that uses it

func appendRaw(out []byte, addr string, id uint32, request []byte) []byte {
	v, ok := rawBlocks.Load(addr)
	if !ok {
		var first, later bytes.Buffer
		enc := hpack.NewEncoder(&first)
		for range 2 {
			for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", addr},
				{"content-type", "application/grpc"}, {"te", "trailers"}} {
				_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // a buffer takes everything
			}
			if later.Len() == 0 {
				later.Write(first.Bytes())
				first.Reset()
			}
		}
		v = [2][]byte{bytes.Clone(later.Bytes()), bytes.Clone(first.Bytes())}
		rawBlocks.Store(addr, v)
	}
	block := v.([2][]byte)[min(id-1, 1)]
	frame := func(kind http2.FrameType, flags http2.Flags, n int) {
		out = append(out, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags))
		out = binary.BigEndian.AppendUint32(out, id)
	}
	frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, len(block))
	out = append(out, block...)
	frame(http2.FrameData, http2.FlagDataEndStream, len(request)+5)
	out = append(out, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(len(request)))
	return append(out, request...)
}

func countAnswers(conn net.Conn, slots <-chan struct{}, windows *queue.Queue[int64]) {
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		head, err := in.Peek(9)
		if err != nil {
			return
		}
		length := int(binary.BigEndian.Uint32(head) >> 8)
		kind, flags, id := http2.FrameType(head[3]), http2.Flags(head[4]), binary.BigEndian.Uint32(head[5:])
		whole, err := in.Peek(9 + length)
		if err != nil {
			return
		}
		switch {
		case kind == http2.FrameHeaders && flags.Has(http2.FlagHeadersEndStream):
			<-slots
		case kind == http2.FrameWindowUpdate && id == 0:
			windows.Push(int64(binary.BigEndian.Uint32(whole[9:])))
		case kind == http2.FramePing && !flags.Has(http2.FlagPingAck):
			pong := bytes.Clone(whole)
			pong[4] = byte(http2.FlagPingAck)
			if _, err := conn.Write(pong); err != nil { // one write is one piece
				return
			}
		}
		if _, err := in.Discard(9 + length); err != nil {
			return
		}
	}
}
