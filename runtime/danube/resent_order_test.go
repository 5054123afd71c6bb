package danube

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A new stream of the real broker begins with what lay in the consumer's queue, and only then repeats all by offset. The caller must get the
// messages in order, each once, and those that it holds must stay its own.
func TestANewStreamDoesNotChangeTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := [][]uint64{{0, 1}, {4, 5, 0, 1, 2, 3, 4, 5, 6}}
		var opened atomic.Int64
		s := &stub{
			receive: func(_ *pb.ReceiveRequest, stream grpc.ServerStreamingServer[pb.StreamMessage]) error {
				n := opened.Add(1) - 1
				for _, offset := range streams[n] {
					if err := send(stream, offset); err != nil {
						return err
					}
				}
				if n == 0 {
					return status.Error(codes.Unavailable, "connection lost")
				}
				<-stream.Context().Done()
				return stream.Context().Err()
			},
			ack: func(context.Context, *pb.AckRequest) error { return nil },
		}
		k, err := s.client(t).NewConsumer(ConsumerSettings{Topic: "/a/b", Subscription: "s", Name: "c"})
		require.NoError(t, err)
		defer k.Close()
		for offset := range uint64(7) {
			d, err := k.Receive(t.Context())
			require.NoError(t, err)
			require.Equal(t, offset, d.Offset)
		}
		require.Equal(t, 7, k.Held())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = k.Receive(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
