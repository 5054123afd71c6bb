package danubetest

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// producers answers the publishing side.
type producers struct {
	danubepb.UnimplementedProducerServiceServer
	broker *Broker
}

func (p producers) CreateProducer(ctx context.Context, req *danubepb.ProducerRequest) (*danubepb.ProducerResponse, error) {
	t, err := p.resolve(req)
	if err != nil {
		return nil, err
	}
	made, err := t.producer(req.GetProducerName())
	if err != nil {
		return nil, err
	}
	made.conn.Store(connOf(ctx))
	return &danubepb.ProducerResponse{RequestId: req.GetRequestId(), ProducerId: made.id, ProducerName: made.name}, nil
}

// resolve finds the topic that a producer asks for, or creates it.
func (p producers) resolve(req *danubepb.ProducerRequest) (*topic, error) {
	name := req.GetTopicName()
	if !validTopic(name) {
		return nil, errBadTopic(name)
	}
	subject := req.GetSchemaRef().GetSubject()
	if subject != "" && !p.broker.schemas.known(subject) {
		return nil, errUnknownSubject(codes.FailedPrecondition, subject)
	}
	strategy := req.GetDispatchStrategy()
	_, known := danubepb.DispatchStrategy_name[int32(strategy)]
	wanted := strategy == danubepb.DispatchStrategy_Reliable
	t := p.broker.topic(name)
	if t == nil {
		if !known {
			return nil, status.Error(codes.InvalidArgument, "Dispatch strategy is missing")
		}
		var err error
		t, err = p.broker.createTopic(name, wanted)
		if err == nil && p.broker.settings.traps.has(trapLateTopic) {
			return nil, status.Errorf(codes.Unavailable, "topic metadata was created for %s, redo the Lookup", name)
		}
		if err != nil && status.Code(err) != codes.AlreadyExists {
			return nil, err
		}
		if t == nil {
			if t = p.broker.topic(name); t == nil { // the name collides with another one
				return nil, err
			}
		}
	}
	if !t.ready() {
		return nil, errElsewhere(name)
	}
	if known && t.reliable != wanted {
		return nil, status.Errorf(codes.FailedPrecondition, "producer dispatch strategy %s does not match topic strategy %s of %s",
			strategy, t.delivery(), name)
	}
	return t, t.useSubject(subject, false)
}

// producer finds the producer of that name on the topic, or makes it.
func (t *topic) producer(name string) (*producer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, status.Errorf(codes.PermissionDenied, "Not able to create the Producer: %v", errTopicClosed)
	}
	p := t.producers[name]
	if p == nil {
		p = &producer{id: newID(), name: name, topic: t}
		t.producers[name] = p
		t.broker.ids.addProducer(p)
		t.broker.metadata.add(entriesOfProducer)
	}
	return p, nil
}

func (p producers) SendMessage(ctx context.Context, m *danubepb.StreamMessage) (*danubepb.MessageResponse, error) {
	if m.GetMsgId() == nil {
		return nil, errNoMsgID
	}
	sender := p.broker.ids.producer(m.GetMsgId().GetProducerId())
	if sender == nil {
		return nil, errNoProducer(m.GetMsgId().GetProducerId())
	}
	sender.conn.Store(connOf(ctx))
	if size := proto.Size(m); size > maxMessage {
		return nil, status.Errorf(codes.OutOfRange,
			"Error, decoded message length too large: found %d bytes, the limit is: %d bytes", size, maxMessage)
	}
	t, name := sender.topic, m.GetMsgId().GetTopicName()
	if name != t.name {
		if t = p.broker.topic(name); t == nil {
			return nil, status.Errorf(codes.PermissionDenied, "Unable to publish the message: topic %s not found in registry", name)
		}
	}
	if err := t.admit(m); err != nil {
		return nil, err
	}
	if t != sender.topic {
		return nil, status.Errorf(codes.PermissionDenied,
			"Unable to publish the message: the producer with id %d is not attached to topic name %s", sender.id, name)
	}
	id := m.GetRequestId() // from here on m belongs to the topic
	last, err := p.broker.faults.admit()
	if err != nil {
		return nil, err
	}
	err = t.publish(ctx, m)
	if last {
		p.broker.halt()
	}
	if err != nil {
		return nil, err
	}
	return &danubepb.MessageResponse{RequestId: id}, nil
}
