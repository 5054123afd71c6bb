package danube

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestT33TheHighestOffsetIsAcknowledgedLast drives the acker with random windows, delays, failing acknowledgements and lost streams
// against a broker that notes what the real one would freeze on: an acknowledgement of the newest message while an older one is
// unacknowledged.
func TestT33TheHighestOffsetIsAcknowledgedLast(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) { ackRun(t, seed) })
	}
}

func ackRun(t *testing.T, seed uint64) {
	const total = 120
	rng := rand.New(rand.NewPCG(seed, 1))
	b := &ackBroker{window: 1 + rng.IntN(20), total: total, lossy: seed%3 == 0, rng: rng, unacked: map[uint64]bool{}, changed: make(chan struct{})}
	s := &stub{receive: b.receive, ack: b.ack}
	k, err := s.client(t).NewConsumer(ConsumerSettings{Topic: "/a/b", Subscription: "s", Name: "c"})
	require.NoError(t, err)
	got := make(map[uint64]int)
	order := rand.New(rand.NewPCG(seed, 2))
	var held []Delivery
	for len(got) < total || len(held) > 0 {
		if len(held) == 0 || (len(got) < total && len(held) < b.window && order.IntN(2) == 0) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			d, err := k.Receive(ctx)
			cancel()
			if err == nil {
				got[d.Offset]++
				held = append(held, d)
			}
			if len(held) == 0 {
				continue
			}
		}
		i := order.IntN(len(held)) // acknowledged in any order
		k.Ack(held[i])
		held = append(held[:i], held[i+1:]...)
	}
	b.wait(t)
	require.NoError(t, k.Flush(t.Context()))
	k.Close()
	require.False(t, b.frozen, "seed %d: the newest message was acknowledged before an older one", seed)
	if !b.lossy {
		for offset, n := range got {
			require.Equal(t, 1, n, "seed %d: offset %d", seed, offset)
		}
	}
}

// An ackBroker delivers total messages through a window and forgets acknowledgements as the real one does.
type ackBroker struct {
	window, total int
	lossy         bool // loses streams and answers

	mu      sync.Mutex
	rng     *rand.Rand
	next    uint64
	unacked map[uint64]bool
	frozen  bool
	changed chan struct{}
}

func (b *ackBroker) random(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rng.IntN(n)
}

func (b *ackBroker) receive(_ *pb.ReceiveRequest, stream grpc.ServerStreamingServer[pb.StreamMessage]) error {
	b.mu.Lock()
	resend := make([]uint64, 0, len(b.unacked))
	for offset := range b.next {
		if b.unacked[offset] {
			resend = append(resend, offset)
		}
	}
	b.mu.Unlock()
	for _, offset := range resend {
		if err := send(stream, offset); err != nil {
			return err
		}
	}
	for {
		b.mu.Lock()
		room, changed := len(b.unacked) < b.window && int(b.next) < b.total, b.changed
		offset := b.next
		if room {
			b.unacked[offset] = true
			b.next++
		}
		b.mu.Unlock()
		if room {
			if err := send(stream, offset); err != nil {
				return err
			}
			if b.lossy && b.random(30) == 0 {
				return status.Error(codes.Unavailable, "connection lost")
			}
			continue
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func send(stream grpc.ServerStreamingServer[pb.StreamMessage], offset uint64) error {
	return stream.Send(&pb.StreamMessage{MsgId: &pb.MsgID{TopicName: "/a/b", TopicOffset: offset}, PublishTime: 1000 + offset, RequestId: offset})
}

func (b *ackBroker) ack(_ context.Context, r *pb.AckRequest) error {
	time.Sleep(time.Duration(b.random(5000)) * time.Microsecond) // fake time: answers overtake each other
	offset := r.GetMsgId().GetTopicOffset()
	b.mu.Lock()
	defer b.mu.Unlock()
	if offset == b.next-1 && b.unacked[offset] && len(b.unacked) > 1 {
		b.frozen = true
	}
	delete(b.unacked, offset)
	close(b.changed)
	b.changed = make(chan struct{})
	if b.lossy && b.rng.IntN(20) == 0 {
		return status.Error(codes.Unavailable, "the answer is lost")
	}
	return nil
}

// wait returns when everything was delivered and acknowledged.
func (b *ackBroker) wait(t *testing.T) {
	deadline := time.After(10 * time.Minute) // of fake time
	for {
		b.mu.Lock()
		done, changed := int(b.next) == b.total && len(b.unacked) == 0, b.changed
		b.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatal("acknowledgements never arrived")
		}
	}
}
