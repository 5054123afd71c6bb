package danubetest

import (
	"context"
	"net"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// discovery answers where topics are.
type discovery struct {
	danubepb.UnimplementedDiscoveryServer
	broker *Broker
}

func (d discovery) TopicLookup(ctx context.Context, req *danubepb.TopicLookupRequest) (*danubepb.TopicLookupResponse, error) {
	if !validTopic(req.GetTopic()) {
		return nil, errBadTopic(req.GetTopic())
	}
	t := d.broker.topic(req.GetTopic())
	if t == nil && d.broker.settings.traps.has(trapNames) {
		t = d.broker.beginning(req.GetTopic())
	}
	if t == nil {
		return nil, status.Errorf(codes.NotFound, "Unable to find the requested topic: %s", req.GetTopic())
	}
	kind := danubepb.TopicLookupResponse_Connect
	if t.name != req.GetTopic() || !t.ready() {
		kind = danubepb.TopicLookupResponse_Redirect
	}
	u := d.broker.advertised(ctx)
	return &danubepb.TopicLookupResponse{
		RequestId:    req.GetRequestId(),
		ResponseType: kind,
		ConnectUrl:   u,
		BrokerUrl:    u,
	}, nil
}

func (d discovery) TopicPartitions(_ context.Context, req *danubepb.TopicLookupRequest) (*danubepb.TopicPartitionsResponse, error) {
	if !validTopic(req.GetTopic()) {
		return nil, errBadTopic(req.GetTopic())
	}
	resp := &danubepb.TopicPartitionsResponse{RequestId: req.GetRequestId()}
	if d.broker.topic(req.GetTopic()) != nil {
		resp.Partitions = []string{req.GetTopic()}
		return resp, nil
	}
	parts := d.broker.partitions(req.GetTopic())
	if d.broker.settings.traps.has(trapNames) {
		parts = d.broker.beginningWith(req.GetTopic())
	}
	for _, t := range parts {
		resp.Partitions = append(resp.Partitions, t.name)
	}
	return resp, nil
}

// advertised is the URL by which the caller of ctx can reach the broker. On a listener for all addresses only the caller knows one:
// the one it has just used.
func (b *Broker) advertised(ctx context.Context) string {
	if b.settings.advertised != "" {
		return b.settings.advertised
	}
	b.mu.RLock()
	u, ask := b.clientURL, b.anyAddress
	b.mu.RUnlock()
	if !ask {
		return u
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if authority := md.Get(":authority"); len(authority) == 1 {
		if _, _, err := net.SplitHostPort(authority[0]); err == nil {
			return withScheme("http://"+authority[0], b.secured(false))
		}
	}
	return u
}
