package main

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// grpcAckers is how many acknowledgements the bare grpc-go consumer has under way.
const grpcAckers = 16

func grpcPublish(ctx context.Context, job Job) (Outcome, error) {
	s, err := dial(job)
	if err != nil {
		return Outcome{}, err
	}
	defer s.conn.Close()
	if err := s.register(ctx); err != nil {
		return Outcome{}, err
	}
	if _, err := s.sendSideBySide(ctx, until(warmUp(job.Seconds))); err != nil {
		return Outcome{}, err
	}
	m := startMeter()
	n, err := s.sendSideBySide(ctx, until(length(job.Seconds)))
	if err != nil {
		return Outcome{}, err
	}
	return m.stop(n)
}

// sendSideBySide publishes from as many goroutines as the job has publishes in flight, each one after the other.
func (s *session) sendSideBySide(ctx context.Context, more func(int) bool) (int, error) {
	var wg sync.WaitGroup
	var sent atomic.Int64
	errs := make([]error, s.job.InFlight)
	producers := danubepb.NewProducerServiceClient(s.conn)
	payload := make([]byte, s.job.Payload)
	for i := range s.job.InFlight {
		wg.Go(func() {
			m := s.message(payload)
			for more(int(sent.Load())) {
				if _, errs[i] = producers.SendMessage(ctx, m); errs[i] != nil {
					return
				}
				sent.Add(1)
			}
		})
	}
	wg.Wait()
	return int(sent.Load()), errors.Join(errs...)
}

// grpcReceive opens the stream and hands each message to take until that says stop.
func (s *session) grpcReceive(ctx context.Context, take func(*danubepb.StreamMessage) bool) (func() error, error) {
	stream, err := danubepb.NewConsumerServiceClient(s.conn).ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: s.consumerID})
	if err != nil {
		return nil, err
	}
	return func() error {
		for {
			m, err := stream.Recv()
			if err != nil || !take(m) {
				return err
			}
		}
	}, nil
}

// grpcConsumeAll receives and acknowledges count messages.
func (s *session) grpcConsumeAll(ctx context.Context, count int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ids := make(chan *danubepb.MsgID, max(s.job.Window, 64))
	left := count
	receive, err := s.grpcReceive(ctx, func(m *danubepb.StreamMessage) bool {
		ids <- m.GetMsgId()
		left--
		return left > 0
	})
	if err != nil {
		return err
	}
	consumers := danubepb.NewConsumerServiceClient(s.conn)
	var wg sync.WaitGroup
	errs := make([]error, grpcAckers)
	for i := range grpcAckers {
		wg.Go(func() {
			for id := range ids {
				if _, err := consumers.Ack(ctx, s.ack(id)); err != nil {
					errs[i] = err
				}
			}
		})
	}
	err = receive()
	close(ids)
	wg.Wait()
	return errors.Join(append(errs, err)...)
}

func grpcConsume(ctx context.Context, job Job) (Outcome, error) {
	s, err := dial(job)
	if err != nil {
		return Outcome{}, err
	}
	defer s.conn.Close()
	if err := s.subscribe(ctx); err != nil {
		return Outcome{}, err
	}
	m := startMeter()
	if err := s.grpcConsumeAll(ctx, job.Count); err != nil {
		return Outcome{}, err
	}
	return m.stop(job.Count)
}

func grpcBoth(ctx context.Context, job Job) (Outcome, error) {
	s, err := dial(job)
	if err != nil {
		return Outcome{}, err
	}
	defer s.conn.Close()
	if err := errors.Join(s.register(ctx), s.subscribe(ctx)); err != nil {
		return Outcome{}, err
	}
	published := make(chan error, 1)
	m := startMeter()
	go func() {
		var taken atomic.Int64
		_, err := s.sendSideBySide(ctx, func(int) bool { return taken.Add(1) <= int64(job.Count) })
		published <- err
	}()
	if err := errors.Join(s.grpcConsumeAll(ctx, job.Count), <-published); err != nil {
		return Outcome{}, err
	}
	return m.stop(job.Count)
}

func grpcLatency(ctx context.Context, job Job) (Outcome, error) {
	s, err := dial(job)
	if err != nil {
		return Outcome{}, err
	}
	defer s.conn.Close()
	if err := errors.Join(s.register(ctx), s.subscribe(ctx)); err != nil {
		return Outcome{}, err
	}
	consumers, producers := danubepb.NewConsumerServiceClient(s.conn), danubepb.NewProducerServiceClient(s.conn)
	ids, failed := make(chan *danubepb.MsgID, 1000), make(chan error, 1)
	stopwatch := newStopwatch(job)
	receive, err := s.grpcReceive(ctx, func(m *danubepb.StreamMessage) bool {
		stopwatch.received(m.GetPayload())
		ids <- m.GetMsgId()
		return true
	})
	if err != nil {
		return Outcome{}, err
	}
	go func() { failed <- receive() }()
	for range grpcAckers {
		go func() {
			for id := range ids {
				_, _ = consumers.Ack(ctx, s.ack(id)) // a lost one would show as a full window
			}
		}()
	}
	work := make(chan []byte, 1000)
	for range job.InFlight {
		go func() {
			for payload := range work {
				if _, err := producers.SendMessage(ctx, s.message(payload), grpc.WaitForReady(true)); err != nil {
					failed <- err
				}
			}
		}()
	}
	return stopwatch.measure(func(payload []byte) error {
		select {
		case err := <-failed:
			return err
		case work <- payload:
			return nil
		}
	})
}

// A stopwatch publishes at a steady rate and notes how long each message takes.
type stopwatch struct {
	job   Job
	base  time.Time
	mu    sync.Mutex
	times []time.Duration
}

func newStopwatch(job Job) *stopwatch { return &stopwatch{job: job, base: time.Now()} }

func (w *stopwatch) received(payload []byte) {
	took := time.Since(w.base) - time.Duration(binary.LittleEndian.Uint64(payload))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times = append(w.times, took)
}

func (w *stopwatch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.times)
}

// measure hands rate messages a second to publish, a few each millisecond, each with the time at which it was due.
func (w *stopwatch) measure(publish func(payload []byte) error) (Outcome, error) {
	if err := w.pace(warmUp(w.job.Seconds), publish); err != nil {
		return Outcome{}, err
	}
	before := w.count()
	m := startMeter()
	if err := w.pace(length(w.job.Seconds), publish); err != nil {
		return Outcome{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	times := sorted(append([]time.Duration(nil), w.times[before:]...))
	o, err := m.stop(len(times))
	o.P50, o.P99 = percentile(times, 0.5), percentile(times, 0.99)
	return o, err
}

// pace publishes for d and waits until nearly all has arrived; a non-reliable topic may drop some.
func (w *stopwatch) pace(d time.Duration, publish func(payload []byte) error) error {
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	start, sent, before := time.Now(), 0, w.count()
	for time.Since(start) < d {
		<-ticks.C
		for due := int(time.Since(start).Seconds() * float64(w.job.Rate)); sent < due; sent++ {
			payload := make([]byte, w.job.Payload)
			binary.LittleEndian.PutUint64(payload, uint64(time.Since(w.base)))
			if err := publish(payload); err != nil {
				return err
			}
		}
	}
	for waited := time.Now(); w.count()-before < sent && time.Since(waited) < 2*time.Second; {
		<-ticks.C
	}
	if got := w.count() - before; w.job.Reliable && got < sent {
		return errors.New("messages of a reliable topic did not arrive")
	}
	return nil
}
