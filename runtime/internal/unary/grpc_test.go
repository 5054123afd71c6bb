package unary_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/unary"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(benchServer); kind != "" {
		beServer(kind)
		return
	}
	goleak.VerifyTestMain(m)
}

// bytesCodec passes messages as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                       { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }

type handler func(ctx context.Context, request []byte) ([]byte, error)

// serveGRPC runs a grpc-go server whose every method is h, behind an in-memory listener.
func serveGRPC(t *testing.T, h handler, opts ...grpc.ServerOption) *bufconn.Listener {
	t.Helper()
	opts = append(opts, grpc.ForceServerCodec(bytesCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var request []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		response, err := h(stream.Context(), request)
		if err != nil {
			return err
		}
		return stream.SendMsg(&response)
	}))
	lis := bufconn.Listen(1 << 20)
	s := grpc.NewServer(opts...)
	done := make(chan error, 1)
	go func() { done <- s.Serve(lis) }()
	t.Cleanup(func() {
		s.Stop()
		require.NoError(t, <-done)
	})
	return lis
}

// connect makes a pool that dials lis.
func connect(t *testing.T, lis *bufconn.Listener, c unary.Config) *unary.Pool {
	t.Helper()
	if c.Addr == "" {
		c.Addr = "server:1"
	}
	if lis != nil {
		c.Dial = func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }
	}
	p := unary.New(c)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

const method = "/test.Service/Method"

func echo(_ context.Context, request []byte) ([]byte, error) { return request, nil }

// call makes a call with time enough for a busy machine.
func call(t *testing.T, p *unary.Pool, request []byte) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return p.Invoke(ctx, method, nil, request)
}

func TestGRPCAnswersOfAllSizes(t *testing.T) {
	t.Parallel()
	p := connect(t, serveGRPC(t, echo), unary.Config{})
	for _, size := range []int{0, 1, 1000, 16<<10 - 5, 16 << 10, 65530, 65531, 1 << 20, 4<<20 - 8} {
		request := bytes.Repeat([]byte{byte(size), 7}, size)[:size]
		response, err := call(t, p, request)
		require.NoError(t, err)
		require.True(t, bytes.Equal(request, response), "%d bytes", size)
	}
}

func TestGRPCManyCallsAtOnceOnSeveralConnections(t *testing.T) {
	t.Parallel()
	for _, connections := range []int{1, 3} {
		p := connect(t, serveGRPC(t, echo, grpc.MaxConcurrentStreams(7)), unary.Config{Connections: connections})
		var wg sync.WaitGroup
		for g := range 50 {
			wg.Go(func() {
				for i := range 15 {
					want := strings.Repeat(fmt.Sprintf("%d,%d ", g, i), i*80)
					got, err := call(t, p, []byte(want))
					if err != nil || string(got) != want {
						t.Errorf("call %d of %d answered %d bytes, error %v, instead of %d", i, g, len(got), err, len(want))
						return
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, p.Broken())
	}
}

func TestGRPCErrorsArriveWithCodeAndText(t *testing.T) {
	t.Parallel()
	want := status.New(codes.PermissionDenied, "Unable to publish the message: 100 % über\nzwei")
	p := connect(t, serveGRPC(t, func(context.Context, []byte) ([]byte, error) { return nil, want.Err() }), unary.Config{})
	_, err := call(t, p, nil)
	require.Equal(t, want.Code(), status.Code(err))
	require.Equal(t, want.Message(), status.Convert(err).Message())
	require.Equal(t, want.Err().Error(), err.Error(), "the text is grpc-go's")
	var failed *unary.Error
	require.ErrorAs(t, err, &failed)
	require.False(t, failed.Unprocessed)
}

func TestGRPCMetadataAndDeadlineReachTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan metadata.MD, 1)
		left := make(chan time.Duration, 1)
		p := connect(t, serveGRPC(t, func(ctx context.Context, _ []byte) ([]byte, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			seen <- md
			deadline, _ := ctx.Deadline()
			left <- time.Until(deadline)
			return nil, nil
		}), unary.Config{Authority: "broker.example:6650"})
		long := strings.Repeat("x", 5000) // more than the table of HPACK takes
		for _, token := range []string{"Bearer one", "Bearer two", "Bearer " + long, "Bearer one"} {
			h, err := unary.NewHeader("authorization", token, "x-route", "http://b:1", "id-bin", "\x00\xff")
			require.NoError(t, err)
			for range 3 { // the first fills the table, the second the cache
				ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond+1)
				_, err = p.Invoke(ctx, method, h, []byte("x"))
				cancel()
				require.NoError(t, err)
				md := <-seen
				require.Equal(t, []string{token}, md.Get("authorization"))
				require.Equal(t, []string{"http://b:1"}, md.Get("x-route"))
				require.Equal(t, []string{"\x00\xff"}, md.Get("id-bin"))
				require.Equal(t, []string{"broker.example:6650"}, md.Get(":authority"))
				require.Equal(t, 1501*time.Millisecond, <-left, "not rounded up")
			}
		}
		_, err := call(t, p, nil)
		require.NoError(t, err)
		require.Empty(t, (<-seen).Get("authorization"), "a call without metadata")
	})
}

func TestHeaderRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	for name, pairs := range map[string][]string{
		"a key without a value": {"a"}, "upper case": {"Authorization", "x"}, "a space": {"a b", "x"}, "empty": {"", "x"}, "pseudo": {":path", "/"},
		"a new line": {"a", "x\ny"}, "of the protocol": {"grpc-timeout", "1S"}, "content type": {"content-type", "text/html"},
	} {
		_, err := unary.NewHeader(pairs...)
		require.Error(t, err, name)
	}
	_, err := unary.NewHeader("authorization", "secret\n")
	require.NotContains(t, err.Error(), "secret")
}
