package danubetest

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// Always is the number of times of a fault that lasts until it is ended, where a method says that it takes it.
const Always = -1

// delay is how long calls of a method wait before they begin.
type delay struct {
	wait time.Duration
	left int // Always for no end
}

// Delay makes the next n calls of method, for example "Ack" or "SendMessage", wait before they have any effect; with [Always] all of
// them do. A second Delay for a method replaces the first; n = 0 ends it. A call that is given up by its client in the meantime has
// no effect.
func (b *Broker) Delay(method string, wait time.Duration, n int) {
	f := &b.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	set(&f.delay, method, delay{wait: wait, left: n}, n != 0 && wait > 0)
	f.count()
}

// waiting is how long a call of method has to wait.
func (f *faults) waiting(method string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.delay[method]
	if ok && d.left > 0 {
		d.left--
		set(&f.delay, method, d, d.left > 0)
		f.count()
	}
	return d.wait
}

// methodOf is the name of a method without its service.
func methodOf(fullMethod string) string { return fullMethod[strings.LastIndex(fullMethod, "/")+1:] }

// beforeCall does to a call what a test wants done.
func (b *Broker) beforeCall(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return b.timed(ctx, req, func(ctx context.Context, req any) (any, error) { return b.call(ctx, req, info, handler) })
}

func (b *Broker) call(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := b.metadata.running(); err != nil {
		return nil, err
	}
	if b.faults.active.Load() > 0 {
		if err := b.disturb(ctx, methodOf(info.FullMethod), b.callers(req)); err != nil {
			return nil, err
		}
	}
	if b.faults.halted.Load() {
		return nil, errStopped
	}
	resp, err := handler(ctx, req)
	if err == nil && changesState(methodOf(info.FullMethod)) {
		err = b.remember()
	}
	if b.faults.halted.Load() {
		return nil, errStopped // the connection is closed: no answer leaves the broker
	}
	return resp, clipped(err)
}

// beforeStream is beforeCall for streams. Who calls is only known when the request was read, see [consumers.ReceiveMessages].
func (b *Broker) beforeStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := b.metadata.running(); err != nil {
		return err
	}
	if b.faults.active.Load() > 0 {
		if err := b.disturb(ss.Context(), methodOf(info.FullMethod), nil); err != nil {
			return err
		}
	}
	if b.faults.halted.Load() {
		return errStopped
	}
	return handler(srv, shallow{ss})
}

// disturb refuses or delays a call that came by the connection of ctx from clients of these names.
func (b *Broker) disturb(ctx context.Context, method string, callers []string) error {
	if err := b.cutOff(ctx, callers); err != nil {
		return err
	}
	if err := b.faults.refusal(method); err != nil {
		return err
	}
	if wait := b.faults.waiting(method); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	return nil
}

// callers names the producer or consumer that sent a request, or all who may have sent it; nil if it does not say.
func (b *Broker) callers(req any) []string {
	switch r := req.(type) {
	case *danubepb.ProducerRequest:
		return []string{r.GetProducerName()}
	case *danubepb.ConsumerRequest:
		return []string{r.GetConsumerName()}
	case *danubepb.StreamMessage:
		if p := b.ids.producer(r.GetMsgId().GetProducerId()); p != nil {
			return []string{p.name}
		}
	case *danubepb.AckRequest:
		return b.consumerNames(r.GetMsgId().GetTopicName(), r.GetSubscriptionName())
	case *danubepb.NackRequest:
		return b.consumerNames(r.GetMsgId().GetTopicName(), r.GetSubscriptionName())
	case *danubepb.HealthCheckRequest:
		if c := b.ids.consumer(r.GetId()); c != nil {
			return []string{c.name}
		}
		if p := b.ids.producer(r.GetId()); p != nil {
			return []string{p.name}
		}
	}
	return nil
}

// consumerNames lists the consumers of a subscription.
func (b *Broker) consumerNames(topic, name string) (names []string) {
	b.with(topic, name, func(s *subscription) {
		for _, c := range s.consumers {
			names = append(names, c.name)
		}
	})
	return names
}

var errStopped = status.Error(codes.Unavailable, "stopped by a test")
