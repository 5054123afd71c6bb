package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// A user is a program with the client.
type user struct {
	client   *danube.Client
	producer *danube.Producer
	consumer *danube.Consumer
	waiting  atomic.Int64 // publishes without an outcome
	failure  atomic.Pointer[error]
	answered chan struct{} // holds a token when an outcome has come
}

func newUser(ctx context.Context, job Job, publishes, consumes bool) (*user, error) {
	client, err := danube.New(job.URL)
	if err != nil {
		return nil, err
	}
	u := &user{client: client, answered: make(chan struct{}, 1)}
	if publishes {
		u.producer, err = client.NewProducer(danube.ProducerSettings{
			Topic: topic, Name: "p", Reliable: job.Reliable, InFlight: job.InFlight, MaxBytes: 4 << 20,
		})
		if err != nil {
			return nil, err
		}
		if err := u.producer.Register(ctx); err != nil {
			return nil, err
		}
	}
	if consumes {
		u.consumer, err = client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: subscription, Name: "c"})
		if err != nil {
			return nil, err
		}
	}
	return u, nil
}

func (u *user) close() {
	if u.consumer != nil {
		u.consumer.Close()
	}
	if u.producer != nil {
		u.producer.Close()
	}
	u.client.Close()
}

func (u *user) outcome(err error) {
	if err != nil {
		u.failure.Store(&err)
	}
	u.waiting.Add(-1)
	select {
	case u.answered <- struct{}{}:
	default:
	}
}

// publish hands messages over until more says no and waits for all outcomes.
func (u *user) publish(ctx context.Context, size int, more func(int) bool) (int, error) {
	payload, n, outcome := make([]byte, size), 0, u.outcome // bound once, or each message would allocate it
	for ; more(n); n++ {
		u.waiting.Add(1)
		if err := u.producer.SendAsync(ctx, 0, danube.Message{Payload: payload}, outcome); err != nil {
			return n, err
		}
	}
	for u.waiting.Load() > 0 {
		select {
		case <-u.answered:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	if err := u.failure.Load(); err != nil {
		return n, *err
	}
	return n, nil
}

func clientPublish(ctx context.Context, job Job) (Outcome, error) {
	u, err := newUser(ctx, job, true, false)
	if err != nil {
		return Outcome{}, err
	}
	defer u.close()
	if _, err := u.publish(ctx, job.Payload, until(warmUp(job.Seconds))); err != nil {
		return Outcome{}, err
	}
	m := startMeter()
	n, err := u.publish(ctx, job.Payload, until(length(job.Seconds)))
	if err != nil {
		return Outcome{}, err
	}
	return m.stop(n)
}

// consume acknowledges count messages and waits until the broker has confirmed it.
func (u *user) consume(ctx context.Context, count int) error {
	for range count {
		d, err := u.consumer.Receive(ctx)
		if err != nil {
			return err
		}
		u.consumer.Ack(d)
	}
	return u.consumer.Flush(ctx)
}

func clientConsume(ctx context.Context, job Job) (Outcome, error) {
	m := startMeter()
	u, err := newUser(ctx, job, false, true)
	if err != nil {
		return Outcome{}, err
	}
	defer u.close()
	if err := u.consume(ctx, job.Count); err != nil {
		return Outcome{}, err
	}
	return m.stop(job.Count)
}

func clientBoth(ctx context.Context, job Job) (Outcome, error) {
	u, err := newUser(ctx, job, true, true)
	if err != nil {
		return Outcome{}, err
	}
	defer u.close()
	if err := u.first(ctx); err != nil {
		return Outcome{}, err
	}
	published := make(chan error, 1)
	m := startMeter()
	go func() {
		_, err := u.publish(ctx, job.Payload, func(n int) bool { return n < job.Count })
		published <- err
	}()
	if err := errors.Join(u.consume(ctx, job.Count), <-published); err != nil {
		return Outcome{}, err
	}
	return m.stop(job.Count)
}

// first waits until the subscription is there: one that is new starts at the newest message.
func (u *user) first(ctx context.Context) error {
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	for u.consumer.Health() != nil {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func clientLatency(ctx context.Context, job Job) (Outcome, error) {
	u, err := newUser(ctx, job, true, true)
	if err != nil {
		return Outcome{}, err
	}
	defer u.close()
	if err := u.first(ctx); err != nil {
		return Outcome{}, err
	}
	w := newStopwatch(job)
	go func() {
		for {
			d, err := u.consumer.Receive(ctx)
			if err != nil {
				return
			}
			w.received(d.Payload)
			u.consumer.Ack(d)
		}
	}()
	return w.measure(func(payload []byte) error {
		u.waiting.Add(1)
		return u.producer.SendAsync(ctx, 0, danube.Message{Payload: payload}, u.outcome)
	})
}
