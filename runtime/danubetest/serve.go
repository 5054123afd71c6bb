package danubetest

import (
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
)

// Limits of the real broker's transport.
const (
	maxMessage     = 4 << 20 // bytes of an encoded request
	maxReceive     = 4 * maxMessage
	flowWindow     = 1 << 20
	maxHeaderBytes = 16 << 10
)

// Serve starts answering clients on client and administrators on admin, which may be nil, and returns. [Broker.Close] closes both.
// It fails when the broker serves already or is closed; then the listeners are left alone.
func (b *Broker) Serve(client, admin net.Listener) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isClosed {
		return errors.New("serve: broker is closed")
	}
	if len(b.servers) > 0 {
		return errors.New("serve: broker serves already")
	}
	s := b.newServer(false)
	danubepb.RegisterDiscoveryServer(s, discovery{broker: b})
	danubepb.RegisterProducerServiceServer(s, producers{broker: b})
	danubepb.RegisterConsumerServiceServer(s, consumers{broker: b})
	danubepb.RegisterHealthCheckServer(s, health{broker: b})
	danubepb.RegisterStorageServiceServer(s, storage{})
	schemapb.RegisterSchemaRegistryServer(s, schemaRegistry{broker: b})
	b.clientURL, b.anyAddress = urlOf(client.Addr())
	b.clientURL = withScheme(b.clientURL, b.secured(false))
	b.run(s, b.listening(client, false))
	if admin == nil {
		return nil
	}
	s = b.newServer(true)
	adminpb.RegisterTopicAdminServer(s, topicAdmin{broker: b})
	adminpb.RegisterNamespaceAdminServer(s, namespaceAdmin{broker: b})
	adminpb.RegisterBrokerAdminServer(s, brokerAdmin{broker: b})
	adminpb.RegisterClusterAdminServer(s, clusterAdmin{broker: b})
	schemapb.RegisterSchemaRegistryServer(s, schemaRegistry{broker: b})
	b.adminURL, _ = urlOf(admin.Addr())
	b.adminURL = withScheme(b.adminURL, b.secured(true))
	b.run(s, b.listening(admin, true))
	return nil
}

// run serves l until Close.
func (b *Broker) run(s *grpc.Server, l net.Listener) {
	b.servers = append(b.servers, s)
	b.serving.Go(func() {
		if err := s.Serve(listener{l, &b.conns, b.cutAddress}); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			b.log.Error("listener failed", "address", l.Addr().String(), "error", err)
		}
	})
}

func (b *Broker) newServer(admin bool) *grpc.Server {
	return grpc.NewServer(append(b.securityOptions(admin),
		b.settings.traps.codec(),
		grpc.MaxRecvMsgSize(maxReceive), // what is too large is refused by us, with the real broker's code
		grpc.MaxSendMsgSize(maxReceive),
		grpc.InitialWindowSize(flowWindow),
		grpc.InitialConnWindowSize(flowWindow),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		// The real broker answers pings of any frequency. Zero would mean five minutes, and on a fake clock pings come at one instant.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: -time.Nanosecond, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(b.beforeCall),
		grpc.StreamInterceptor(b.beforeStream),
	)...)
}

// urlOf is the URL of a listening address, and whether that address stands for all of the machine's.
func urlOf(a net.Addr) (u string, wildcard bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return "http://" + a.String(), false
	}
	if !tcp.IP.IsUnspecified() {
		return "http://" + tcp.String(), false
	}
	local := net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
	return "http://" + local.String(), true
}

// URL is where clients reach the broker, such as "http://127.0.0.1:36501"; empty before [Broker.Serve].
func (b *Broker) URL() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.clientURL
}

// AdminURL is where administrators reach the broker; empty without an admin listener.
func (b *Broker) AdminURL() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.adminURL
}
