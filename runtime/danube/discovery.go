package danube

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// grpcBackoff paces connection attempts below the client's own retries.
var grpcBackoff = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second}

// proxyHeader tells a proxy which broker a call is for; the broker itself never reads it.
const proxyHeader = "x-danube-broker-url"

// A route is where calls about one topic go.
type route struct {
	endpoint  *endpoint
	conn      *grpc.ClientConn // the endpoint's
	calls     caller           // on conn, with what this route needs
	brokerURL string           // identity of the broker inside its cluster, as the broker writes it
	proxied   bool
}

func newRoute(e *endpoint, brokerURL string, proxied bool) route {
	r := route{endpoint: e, conn: e.conn, brokerURL: brokerURL, proxied: proxied}
	plain := grpcCalls{conn: e.conn, metadata: r.context}
	r.calls = plain
	if e.pool != nil {
		r.calls = &pipelined{pool: e.pool, tokens: e.tokens, proxy: r.header, plain: plain}
	}
	return r
}

// header is what calls about a topic carry beside a token: its name and value, both empty for nothing.
func (r route) header() (name, value string) {
	if !r.proxied {
		return "", ""
	}
	return proxyHeader, r.brokerURL
}

// context adds what calls on this route must carry. Calls of discovery carry nothing, as in official clients.
func (r route) context(ctx context.Context) context.Context {
	name, value := r.header()
	return withHeader(ctx, name, value)
}

// lookup finds the broker that serves topic. A topic that no broker knows yet is served by the one the client was made for: that
// is where a producer creates it. An answer does not prove that the topic exists, because brokers compare the beginnings of names;
// the call that follows tells.
func (c *Client) lookup(ctx context.Context, topic string) (route, error) {
	e, err := c.endpoint(c.service)
	if err != nil {
		return route{}, wrap(opLookup, topic, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := pb.NewDiscoveryClient(e.conn).TopicLookup(ctx, &pb.TopicLookupRequest{RequestId: 1, Topic: topic})
	if status.Code(err) == codes.NotFound || err == nil && resp.GetResponseType() == pb.TopicLookupResponse_Failed {
		return newRoute(e, "", false), nil
	}
	if err != nil {
		return route{}, wrap(opLookup, topic, err)
	}
	// Connect and Redirect are alike to a client: dial connect_url, one hop.
	at, err := c.advertised(resp.GetConnectUrl())
	if err != nil {
		return route{}, wrap(opLookup, topic, err)
	}
	e, err = c.endpoint(at)
	if err != nil {
		return route{}, wrap(opLookup, topic, err)
	}
	return newRoute(e, resp.GetBrokerUrl(), resp.GetProxy()), nil
}

// partitions lists the partitions of topic that exist: [-1] for a plain topic, empty when there is none.
func (c *Client) partitions(ctx context.Context, topic string) ([]int, error) {
	e, err := c.endpoint(c.service)
	if err != nil {
		return nil, wrap(opPartitions, topic, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := pb.NewDiscoveryClient(e.conn).TopicPartitions(ctx, &pb.TopicLookupRequest{RequestId: 1, Topic: topic})
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
