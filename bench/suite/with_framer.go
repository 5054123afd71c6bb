package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/bench/internal/framer"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A framerPublisher keeps publishes in flight on one connection.
type framerPublisher struct {
	framer   *framer.Framer
	message  []byte
	inFlight int64
	sent     int64
	answered atomic.Int64
	progress chan struct{} // holds a token when answers have come
	failed   chan error
}

func newFramerPublisher(ctx context.Context, job Job) (*framerPublisher, error) {
	s, err := dial(job)
	if err != nil {
		return nil, err
	}
	defer s.conn.Close()
	if err := s.register(ctx); err != nil {
		return nil, err
	}
	message, err := s.encoded()
	if err != nil {
		return nil, err
	}
	f, err := framer.Dial(job.addr())
	if err != nil {
		return nil, err
	}
	p := &framerPublisher{framer: f, message: message, inFlight: int64(job.InFlight), progress: make(chan struct{}, 1), failed: make(chan error, 1)}
	go func() { p.failed <- f.Answers(p.done, func([]byte) {}) }()
	return p, nil
}

func (p *framerPublisher) done() {
	p.answered.Add(1)
	select {
	case p.progress <- struct{}{}:
	default:
	}
}

// publish sends until more says no and waits until all is answered; it returns how many it sent.
func (p *framerPublisher) publish(more func(n int) bool) (int, error) {
	n := 0
	for ; more(n); n++ {
		if err := p.await(p.inFlight - 1); err != nil {
			return n, err
		}
		if err := p.framer.Call(sendPath, p.message); err != nil {
			return n, err
		}
		p.sent++
	}
	return n, p.await(0)
}

// await returns when at most so many publishes are unanswered; the server sees all of them before anybody waits.
func (p *framerPublisher) await(atMost int64) error {
	for p.sent-p.answered.Load() > atMost {
		if err := p.framer.Flush(); err != nil {
			return err
		}
		select {
		case <-p.progress:
		case err := <-p.failed:
			return err
		}
	}
	return nil
}

// until says yes for d, looking at the clock now and then.
func until(d time.Duration) func(int) bool {
	end := time.Now().Add(d)
	return func(n int) bool { return n%64 != 0 || time.Now().Before(end) }
}

func framerPublish(ctx context.Context, job Job) (Outcome, error) {
	p, err := newFramerPublisher(ctx, job)
	if err != nil {
		return Outcome{}, err
	}
	defer p.framer.Close()
	if _, err := p.publish(until(warmUp(job.Seconds))); err != nil {
		return Outcome{}, err
	}
	m := startMeter()
	n, err := p.publish(until(length(job.Seconds)))
	if err != nil {
		return Outcome{}, err
	}
	return m.stop(n)
}

// framerFill makes the subscription and then as many messages as the job has.
func framerFill(ctx context.Context, job Job) (Outcome, error) {
	job.InFlight = 200
	p, err := newFramerPublisher(ctx, job)
	if err != nil {
		return Outcome{}, err
	}
	defer p.framer.Close()
	s, err := dial(job)
	if err != nil {
		return Outcome{}, err
	}
	defer s.conn.Close()
	if err := s.subscribe(ctx); err != nil {
		return Outcome{}, err
	}
	n, err := p.publish(func(n int) bool { return n < job.Count })
	return Outcome{Messages: n}, err
}

// A framerConsumer acknowledges what comes, in the order in which it came.
type framerConsumer struct {
	framer  *framer.Framer
	session *session
	arrived chan uint64
	acked   atomic.Int64
	ended   chan error
}

func newFramerConsumer(ctx context.Context, job Job) (*framerConsumer, error) {
	s, err := dial(job)
	if err != nil {
		return nil, err
	}
	if err := s.subscribe(ctx); err != nil {
		return nil, err
	}
	f, err := framer.Dial(job.addr())
	if err != nil {
		return nil, err
	}
	return &framerConsumer{framer: f, session: s, arrived: make(chan uint64, max(job.Window, 64)), ended: make(chan error, 1)}, nil
}

// open begins to receive.
func (k *framerConsumer) open(count int) error {
	request, err := proto.Marshal(&danubepb.ReceiveRequest{ConsumerId: k.session.consumerID})
	if err != nil {
		return err
	}
	messages := messageSplitter{take: func(m []byte) { k.arrived <- offsetOf(m) }}
	go func() {
		k.ended <- k.framer.Answers(func() {
			if k.acked.Add(1) == int64(count) {
				k.framer.Close()
			}
		}, messages.add)
	}()
	if err := k.framer.Call(receivePath, request); err != nil {
		return err
	}
	return k.framer.Flush()
}

// consume acknowledges count messages and waits for the answers.
func (k *framerConsumer) consume(count int) error {
	for range count {
		var offset uint64
		select {
		case offset = <-k.arrived:
		default:
			if err := k.framer.Flush(); err != nil {
				return err
			}
			select {
			case offset = <-k.arrived:
			case err := <-k.ended:
				return err
			}
		}
		ack, err := proto.Marshal(k.session.ack(&danubepb.MsgID{TopicName: topic, TopicOffset: offset}))
		if err != nil {
			return err
		}
		if err := k.framer.Call(ackPath, ack); err != nil {
			return err
		}
	}
	if err := k.framer.Flush(); err != nil {
		return err
	}
	if err := <-k.ended; k.acked.Load() != int64(count) {
		return fmt.Errorf("%d of %d acknowledgements were answered: %w", k.acked.Load(), count, err)
	}
	return nil
}

func framerConsume(ctx context.Context, job Job) (Outcome, error) {
	k, err := newFramerConsumer(ctx, job)
	if err != nil {
		return Outcome{}, err
	}
	defer k.session.conn.Close()
	m := startMeter()
	if err := k.open(job.Count); err != nil {
		return Outcome{}, err
	}
	if err := k.consume(job.Count); err != nil {
		return Outcome{}, err
	}
	return m.stop(job.Count)
}

func framerBoth(ctx context.Context, job Job) (Outcome, error) {
	p, err := newFramerPublisher(ctx, job)
	if err != nil {
		return Outcome{}, err
	}
	defer p.framer.Close()
	k, err := newFramerConsumer(ctx, job)
	if err != nil {
		return Outcome{}, err
	}
	defer k.session.conn.Close()
	if err := k.open(job.Count); err != nil {
		return Outcome{}, err
	}
	published := make(chan error, 1)
	m := startMeter()
	go func() {
		_, err := p.publish(func(n int) bool { return n < job.Count })
		published <- err
	}()
	if err := k.consume(job.Count); err != nil {
		return Outcome{}, err
	}
	if err := <-published; err != nil {
		return Outcome{}, err
	}
	return m.stop(job.Count)
}

// A messageSplitter cuts the bodies of answers into gRPC messages and passes on those of a receive stream: the answers to
// acknowledgements are empty, or nearly.
type messageSplitter struct {
	rest []byte
	take func([]byte)
}

func (s *messageSplitter) add(data []byte) {
	if len(s.rest) == 0 && len(data) < 64 {
		return // an answer to an acknowledgement comes in one piece
	}
	s.rest = append(s.rest, data...)
	for len(s.rest) >= 5 {
		n := 5 + int(binary.BigEndian.Uint32(s.rest[1:]))
		if len(s.rest) < n {
			return
		}
		s.take(s.rest[5:n])
		s.rest = s.rest[n:]
	}
}

// offsetOf finds msg_id.topic_offset without decoding the rest.
func offsetOf(m []byte) uint64 {
	id := field(m, 2)
	v, n := protowire.ConsumeVarint(field(id, 5))
	if n < 0 {
		return 0 // proto3 leaves out a zero
	}
	return v
}

// field is the content of the first field of that number: a varint's bytes or what a length-delimited one holds.
func field(m []byte, want protowire.Number) []byte {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return nil
		}
		m = m[n:]
		n = protowire.ConsumeFieldValue(number, kind, m)
		if n < 0 {
			return nil
		}
		if number == want {
			if kind == protowire.BytesType {
				content, _ := protowire.ConsumeBytes(m)
				return content
			}
			return m[:n]
		}
		m = m[n:]
	}
	return nil
}
