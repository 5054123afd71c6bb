package danubetest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

func (s *imitation) publish() {
	for _, call := range s.pending {
		if call.what == "publish" && !s.overlap {
			return
		}
	}
	m := s.sender.message("x")
	s.launch(worldCall{what: "publish"}, func(ctx context.Context) (string, error) {
		_, err := s.SendMessage(ctx, m)
		return ok, err
	})
}

// settle acknowledges or nacks a message: one of the last that came, or for an Ack any.
func (s *imitation) settle(what string, delay time.Duration) {
	c := worldCall{what: what, delay: delay, offset: uint64(s.random.IntN(500))}
	switch recent := s.seen[max(0, len(s.seen)-12):]; {
	case len(recent) > 0 && (what == "nack" || s.random.IntN(8) > 0):
		c.offset = recent[s.random.IntN(len(recent))]
	case what == "nack":
		return
	}
	s.launch(c, func(ctx context.Context) (string, error) {
		id := &danubepb.MsgID{TopicName: orders, TopicOffset: c.offset}
		if what == "ack" {
			_, err := s.Ack(ctx, &danubepb.AckRequest{MsgId: id, SubscriptionName: "s"})
			return ok, err
		}
		ms := uint64(delay.Milliseconds())
		_, err := s.Nack(ctx, &danubepb.NackRequest{MsgId: id, SubscriptionName: "s", DelayMs: &ms})
		return ok, err
	})
}

// comeOrGo subscribes, opens a stream or a second one, or closes one.
func (s *imitation) comeOrGo() {
	name := fmt.Sprint("c", s.random.IntN(3))
	if s.kind == exclusive && s.random.IntN(8) > 0 {
		name = "c0"
	}
	for _, call := range s.pending {
		if call.name == name && call.what != "health" {
			return // a client does one after the other
		}
	}
	id, known := s.ids[name]
	stream := s.open(name)
	switch {
	case !known:
		s.subscribe(name)
	case stream != 0 && s.random.IntN(2) == 0:
		s.close(stream)
	case s.random.IntN(5) < 2:
		s.subscribe(name)
	default:
		s.receive(name, id)
	}
}

// open is the stream of a consumer, 0 for none.
func (s *imitation) open(name string) int {
	for _, id := range slices.Sorted(maps.Keys(s.streams)) {
		select {
		case <-s.streams[id].ended:
		default:
			if s.streams[id].name == name && s.pending[id] == nil {
				return id
			}
		}
	}
	return 0
}

func (s *imitation) subscribe(name string) {
	c := worldCall{what: "subscribe", name: name, kind: s.kind}
	s.launch(c, func(ctx context.Context) (string, error) {
		resp, err := s.Subscribe(ctx, &danubepb.ConsumerRequest{TopicName: orders, Subscription: "s", ConsumerName: name, SubscriptionType: s.kind})
		if err == nil {
			s.ids[name] = resp.GetConsumerId() // nobody reads it before all is quiet
		}
		return ok, err
	})
}

func (s *imitation) receive(name string, consumer uint64) {
	stream := &imitatedStream{name: name, in: make(chan uint64, 100_000), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(s.ctx)
	stream.cancel = cancel
	s.streams[s.last+1] = stream
	s.launch(worldCall{what: "open", name: name}, func(giveUp context.Context) (string, error) {
		stop := context.AfterFunc(giveUp, cancel)
		calls, err := s.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: consumer})
		if err == nil {
			_, err = calls.Header()
		}
		if !stop() || err != nil {
			close(stream.ended)
			return "", context.Cause(giveUp)
		}
		go func() {
			defer close(stream.ended)
			for m, err := calls.Recv(); err == nil; m, err = calls.Recv() {
				stream.in <- offset(m)
			}
		}()
		return ok, nil
	})
}

func (s *imitation) close(id int) {
	s.say("close", id)
	s.last++
	s.streams[id].cancel()
	for _, w := range s.worlds {
		w.arrive(worldCall{id: s.last, what: "close", name: s.streams[id].name})
	}
	s.compare(most)
}

func (s *imitation) unsubscribe() {
	s.launch(worldCall{what: "unsubscribe"}, func(ctx context.Context) (string, error) {
		_, err := s.topics.Unsubscribe(ctx, &adminpb.SubscriptionRequest{Topic: orders, Subscription: "s"})
		if err == nil {
			clear(s.ids)
		}
		return ok, err
	})
}

// storeAnother changes the policy of the next subscription of the name.
func (s *imitation) storeAnother() {
	policy := imitatedPolicy(s.random)
	s.say("policy", policy)
	require.NoError(s.t, s.storePolicy(policy))
	for _, w := range s.worlds {
		w.stored = &policy
	}
	s.compare(most)
}
