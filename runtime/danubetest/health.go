package danubetest

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// health answers whether producers and consumers are known.
type health struct {
	danubepb.UnimplementedHealthCheckServer
	broker *Broker
}

// HealthCheck has no effect on what it asks about. A consumer is healthy from its Subscribe on until it loses its stream.
func (h health) HealthCheck(ctx context.Context, req *danubepb.HealthCheckRequest) (*danubepb.HealthCheckResponse, error) {
	ok := false
	switch req.GetClient() {
	case danubepb.HealthCheckRequest_Producer:
		ok = h.broker.ids.producer(req.GetId()) != nil
	case danubepb.HealthCheckRequest_Consumer:
		if c := h.broker.ids.consumer(req.GetId()); c != nil {
			t := c.sub.topic
			if err := t.table.hold(ctx); err != nil {
				return nil, err
			}
			t.mu.Lock()
			ok = c.connected() && !c.unhealthy
			t.mu.Unlock()
			t.table.release()
		}
	default:
		return nil, status.Errorf(codes.InvalidArgument, "unknown client type %d", req.GetClient())
	}
	resp := &danubepb.HealthCheckResponse{Status: danubepb.HealthCheckResponse_CLOSE}
	if ok {
		resp.Status = danubepb.HealthCheckResponse_OK
	}
	return resp, nil
}
