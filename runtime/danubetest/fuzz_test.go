package danubetest_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// alive checks that the broker still serves both ports.
func alive(t *testing.T, c *client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := c.TopicPartitions(ctx, &danubepb.TopicLookupRequest{Topic: orders})
	require.NoError(t, err)
	_, err = c.brokers.ListNamespaces(ctx, &adminpb.Empty{})
	require.NoError(t, err)
}

// FuzzPorts sends arbitrary bytes to either port, as they are and after the preface of HTTP/2.
func FuzzPorts(f *testing.F) {
	for _, seed := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\xff\xff\x01\x25\x00\x00\x00\x01"} {
		f.Add([]byte(seed), true, false)
		f.Add([]byte(seed), false, true)
	}
	b := danubetest.Start(f)
	c := connect(f, b)
	f.Fuzz(func(t *testing.T, data []byte, preface, admin bool) {
		url := b.URL()
		if admin {
			url = b.AdminURL()
		}
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		if preface {
			data = append([]byte(http2.ClientPreface), data...)
		}
		_, _ = conn.Write(data) // the broker may hang up in the middle
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
		alive(t, c)
	})
}

// methods are those of every service on the client and the admin port.
func methods() (api, admin []string) {
	add := func(to []string, services ...grpc.ServiceDesc) []string {
		for _, s := range services {
			for _, m := range s.Methods {
				to = append(to, "/"+s.ServiceName+"/"+m.MethodName)
			}
			for _, m := range s.Streams {
				to = append(to, "/"+s.ServiceName+"/"+m.StreamName)
			}
		}
		return to
	}
	api = add(nil, danubepb.ProducerService_ServiceDesc, danubepb.ConsumerService_ServiceDesc, danubepb.Discovery_ServiceDesc,
		danubepb.HealthCheck_ServiceDesc, danubepb.StorageService_ServiceDesc, schemapb.SchemaRegistry_ServiceDesc)
	admin = add(nil, adminpb.TopicAdmin_ServiceDesc, adminpb.NamespaceAdmin_ServiceDesc, adminpb.BrokerAdmin_ServiceDesc,
		adminpb.ClusterAdmin_ServiceDesc, schemapb.SchemaRegistry_ServiceDesc)
	return api, admin
}

// FuzzRequests calls every method with arbitrary bytes for a request.
func FuzzRequests(f *testing.F) {
	api, admin := methods()
	b := danubetest.Start(f, danubetest.Memory(1<<20))
	c := connect(f, b)
	c.producer(orders, "p", reliable)
	apiConn := dial(f, strings.TrimPrefix(b.URL(), "http://"))
	adminConn := dial(f, strings.TrimPrefix(b.AdminURL(), "http://"))
	for i := range max(len(api), len(admin)) {
		f.Add(uint8(i), false, []byte("\x08\x01\x12\x0f/default/orders"))
		f.Add(uint8(i), true, []byte("\x0a\x0f/default/orders\x12\x01s"))
	}
	f.Fuzz(func(t *testing.T, method uint8, toAdmin bool, request []byte) {
		conn, name := apiConn, api[int(method)%len(api)]
		if toAdmin {
			conn, name = adminConn, admin[int(method)%len(admin)]
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // a stream may be accepted and stay open
		defer cancel()
		var answer []byte
		_ = conn.Invoke(ctx, name, request, &answer, grpc.ForceCodecV2(rawCodec{})) // any answer is right, as long as there is a broker after it
		alive(t, c)
	})
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
