package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"

	"google.golang.org/grpc"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// serveBroker is the development broker, until in ends.
func serveBroker(job Job, in io.Reader, out io.Writer) error {
	b, err := danubetest.New(danubetest.Window(job.Window), danubetest.History(0), danubetest.Memory(8<<30))
	if err != nil {
		return err
	}
	defer b.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := b.Serve(l, nil); err != nil {
		return err
	}
	return serveUntil(b.URL(), in, out)
}

func serveUntil(url string, in io.Reader, out io.Writer) error {
	if _, err := fmt.Fprintln(out, url); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// nothing answers every publish at once.
type nothing struct {
	danubepb.UnimplementedDiscoveryServer
	danubepb.UnimplementedProducerServiceServer
}

func (nothing) CreateProducer(context.Context, *danubepb.ProducerRequest) (*danubepb.ProducerResponse, error) {
	return &danubepb.ProducerResponse{ProducerId: 1}, nil
}

func (nothing) SendMessage(_ context.Context, m *danubepb.StreamMessage) (*danubepb.MessageResponse, error) {
	return &danubepb.MessageResponse{RequestId: m.GetRequestId()}, nil
}

func serveNothing(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// As the broker's server, so that the difference is what the broker does.
	s := grpc.NewServer(grpc.MaxConcurrentStreams(math.MaxUint32), grpc.InitialWindowSize(1<<20), grpc.InitialConnWindowSize(1<<20))
	danubepb.RegisterProducerServiceServer(s, nothing{})
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	err = serveUntil("http://"+l.Addr().String(), in, out)
	s.Stop()
	if serveErr := <-failed; serveErr != nil {
		return serveErr
	}
	return err
}
