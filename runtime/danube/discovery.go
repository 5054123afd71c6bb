package danube

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// grpcBackoff paces connection attempts below the client's own retries.
var grpcBackoff = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second}

// proxyHeader tells a proxy which broker a call is for; the broker itself never reads it.
const proxyHeader = "x-danube-broker-url"

// A route is where calls about one topic go.
type route struct {
	conn      *grpc.ClientConn
	calls     caller
	brokerURL string // identity of the broker inside its cluster
	proxied   bool
}

// context adds what calls on this route must carry.
func (r route) context(ctx context.Context) context.Context {
	if !r.proxied {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, proxyHeader, r.brokerURL)
}

// lookup finds the broker that serves topic. A topic that no broker knows yet is served by the one the client was made for: that
// is where a producer creates it.
func (c *Client) lookup(ctx context.Context, topic string) (route, error) {
	conn, err := c.conn(c.service)
	if err != nil {
		return route{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := pb.NewDiscoveryClient(conn).TopicLookup(ctx, &pb.TopicLookupRequest{RequestId: 1, Topic: topic})
	switch {
	case status.Code(err) == codes.NotFound:
		return route{conn: conn, calls: grpcCalls{conn: conn}}, nil
	case err != nil:
		return route{}, wrap(opLookup, topic, err)
	}
	// Connect and Redirect are alike to a client: dial connect_url, one hop.
	addr, _, err := parseURL(resp.GetConnectUrl())
	if err != nil {
		return route{}, &Error{Op: opLookup, Topic: topic, Code: codes.Unknown, Text: err.Error()}
	}
	conn, err = c.conn(addr)
	if err != nil {
		return route{}, err
	}
	r := route{conn: conn, brokerURL: resp.GetBrokerUrl(), proxied: resp.GetProxy()}
	r.calls = grpcCalls{conn: conn, metadata: r.context}
	return r, nil
}

// partitions lists the partitions of topic that exist: [-1] for a plain topic, empty when there is none.
func (c *Client) partitions(ctx context.Context, topic string) ([]int, error) {
	conn, err := c.conn(c.service)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := pb.NewDiscoveryClient(conn).TopicPartitions(ctx, &pb.TopicLookupRequest{RequestId: 1, Topic: topic})
	if err != nil {
		return nil, wrap(opPartitions, topic, err)
	}
	return ownPartitions(topic, resp.GetPartitions()), nil
}

// nameOf is the broker's name of partition i of topic.
func nameOf(topic string, i int) string {
	if i < 0 {
		return topic
	}
	return PartitionName(topic, i)
}
