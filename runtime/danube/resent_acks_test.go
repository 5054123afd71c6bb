package danube

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A script is a broker that sends what a test wants and notes what is acknowledged.
type script struct {
	send chan uint64

	mu    sync.Mutex
	acked []uint64
	hold  chan struct{} // the first acknowledgement is answered when this is closed; nil for at once
}

func (s *script) receive(_ *pb.ReceiveRequest, stream grpc.ServerStreamingServer[pb.StreamMessage]) error {
	for {
		select {
		case offset := <-s.send:
			if err := send(stream, offset); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (s *script) ack(_ context.Context, r *pb.AckRequest) error {
	s.mu.Lock()
	s.acked = append(s.acked, r.GetMsgId().GetTopicOffset())
	hold := s.hold
	s.hold = nil
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return nil
}

func (s *script) acks() []uint64 {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked
}

// ackScript runs a test in a bubble against a script.
func ackScript(t *testing.T, settings ConsumerSettings, test func(t *testing.T, s *script, k *Consumer)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{send: make(chan uint64)}
		settings.Topic, settings.Subscription, settings.Name = "/a/b", "s", "c"
		k, err := (&stub{receive: s.receive, ack: s.ack}).client(t).NewConsumer(settings)
		require.NoError(t, err)
		defer k.Close()
		test(t, s, k)
	})
}

// On Shared a message can come after newer ones. If there is no room for it, the newest must not be acknowledged before it.
func TestTheHighestWaitsForWhatWasDroppedBelowIt(t *testing.T) {
	ackScript(t, ConsumerSettings{Type: Shared, MaxBytes: 1}, func(t *testing.T, s *script, k *Consumer) {
		s.send <- 5
		highest, err := k.Receive(t.Context())
		require.NoError(t, err)
		s.send <- 3 // no room
		synctest.Wait()
		k.Ack(highest)
		require.Empty(t, s.acks())
		time.Sleep(time.Second) // another stream
		s.send <- 3
		below, err := k.Receive(t.Context())
		require.NoError(t, err)
		s.send <- 5
		synctest.Wait()
		k.Ack(below)
		require.Equal(t, []uint64{3, 5}, s.acks())
	})
}

// An acknowledgement that is under way while its message comes again may have met it waiting, and then counts for nothing.
func TestACopyDuringAnAcknowledgementIsAcknowledged(t *testing.T) {
	ackScript(t, ConsumerSettings{}, func(t *testing.T, s *script, k *Consumer) {
		hold := make(chan struct{})
		s.hold = hold
		s.send <- 0
		d, err := k.Receive(t.Context())
		require.NoError(t, err)
		k.Ack(d)
		require.Equal(t, []uint64{0}, s.acks())
		s.send <- 0
		synctest.Wait()
		close(hold)
		require.Equal(t, []uint64{0, 0}, s.acks())
		require.Equal(t, uint64(1), k.Stats().Confirmed)
	})
}

// At the beginning of a stream a second copy of what is acknowledged meanwhile is no news for the caller.
func TestACopyAfterAnAcknowledgementIsAcknowledged(t *testing.T) {
	ackScript(t, ConsumerSettings{}, func(t *testing.T, s *script, k *Consumer) {
		s.send <- 0
		d, err := k.Receive(t.Context())
		require.NoError(t, err)
		k.Ack(d)
		require.Equal(t, []uint64{0}, s.acks())
		s.send <- 0
		require.Equal(t, []uint64{0, 0}, s.acks())
		require.Zero(t, k.Held())
	})
}

// Copies of what is acknowledged keep to the order too, whichever comes first: the broker may have missed all of it.
func TestT33TheHighestOfCopiesIsAcknowledgedLast(t *testing.T) {
	t.Parallel()
	for _, copies := range [][]uint64{{0, 1, 2}, {2, 0, 1}} {
		t.Run(fmt.Sprint(copies), func(t *testing.T) {
			ackScript(t, ConsumerSettings{}, func(t *testing.T, s *script, k *Consumer) {
				for offset := range uint64(3) {
					s.send <- offset
					d, err := k.Receive(t.Context())
					require.NoError(t, err)
					k.Ack(d)
					synctest.Wait()
				}
				require.Equal(t, []uint64{0, 1, 2}, s.acks())
				hold := make(chan struct{})
				s.mu.Lock()
				s.hold = hold // for the copy of 0
				s.mu.Unlock()
				for _, offset := range copies {
					s.send <- offset
					synctest.Wait()
				}
				require.Equal(t, []uint64{0, 1, 2, 0, 1}, s.acks(), "the highest waits for 0")
				close(hold)
				require.Equal(t, []uint64{0, 1, 2, 0, 1, 2}, s.acks())
			})
		})
	}
}

// Copies that do not come because the broker had counted them are not waited for longer than a stream takes for its repeats.
func TestT33TheHighestCopyDoesNotWaitForWhatWasCounted(t *testing.T) {
	ackScript(t, ConsumerSettings{}, func(t *testing.T, s *script, k *Consumer) {
		for offset := range uint64(2) {
			s.send <- offset
			d, err := k.Receive(t.Context())
			require.NoError(t, err)
			k.Ack(d)
			synctest.Wait()
		}
		s.send <- 1
		require.Equal(t, []uint64{0, 1}, s.acks())
		time.Sleep(2 * resendTime)
		require.Equal(t, []uint64{0, 1, 1}, s.acks())
	})
}
