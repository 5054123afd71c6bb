package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

const (
	topic        = "/default/bench"
	subscription = "s"

	sendPath    = "/danube.ProducerService/SendMessage"
	ackPath     = "/danube.ConsumerService/Ack"
	receivePath = "/danube.ConsumerService/ReceiveMessages"
)

// do does a contestant's job in this process.
func do(job Job) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	works := map[string]func(context.Context, Job) (Outcome, error){
		"fill framer":    framerFill,
		"publish framer": framerPublish, "publish grpc-go": grpcPublish, "publish client": clientPublish,
		"consume framer": framerConsume, "consume grpc-go": grpcConsume, "consume client": clientConsume,
		"both framer": framerBoth, "both grpc-go": grpcBoth, "both client": clientBoth,
		"latency grpc-go": grpcLatency, "latency client": clientLatency,
	}
	work := works[job.Work+" "+job.Contestant]
	if work == nil {
		return Outcome{}, fmt.Errorf("%s does not %s", job.Contestant, job.Work)
	}
	return work(ctx, job)
}

func (j Job) addr() string { return strings.TrimPrefix(j.URL, "http://") }

func (j Job) strategy() danubepb.DispatchStrategy {
	if j.Reliable {
		return danubepb.DispatchStrategy_Reliable
	}
	return danubepb.DispatchStrategy_NonReliable
}

// A session is what the contestants without a client of their own share: registration through grpc-go.
type session struct {
	conn       *grpc.ClientConn
	job        Job
	producerID uint64
	consumerID uint64
}

func dial(job Job) (*session, error) {
	conn, err := grpc.NewClient(job.addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(16<<20), grpc.WithInitialConnWindowSize(32<<20))
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, job: job}, nil
}

func (s *session) register(ctx context.Context) error {
	resp, err := danubepb.NewProducerServiceClient(s.conn).CreateProducer(ctx, &danubepb.ProducerRequest{
		ProducerName: "p", TopicName: topic, DispatchStrategy: s.job.strategy(),
	})
	s.producerID = resp.GetProducerId()
	return err
}

func (s *session) subscribe(ctx context.Context) error {
	resp, err := danubepb.NewConsumerServiceClient(s.conn).Subscribe(ctx, &danubepb.ConsumerRequest{
		TopicName: topic, Subscription: subscription, ConsumerName: "c",
	})
	s.consumerID = resp.GetConsumerId()
	return err
}

func (s *session) message(payload []byte) *danubepb.StreamMessage {
	return &danubepb.StreamMessage{
		MsgId:   &danubepb.MsgID{ProducerId: s.producerID, TopicName: topic},
		Payload: payload, PublishTime: uint64(time.Now().UnixMilli()), ProducerName: "p",
	}
}

func (s *session) encoded() ([]byte, error) {
	return proto.Marshal(s.message(make([]byte, s.job.Payload)))
}

func (s *session) ack(id *danubepb.MsgID) *danubepb.AckRequest {
	return &danubepb.AckRequest{MsgId: id, SubscriptionName: subscription}
}

// warmUp is how long a work of given length goes on before it is measured.
func warmUp(seconds float64) time.Duration {
	return time.Duration(seconds * 0.25 * float64(time.Second))
}

func length(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
