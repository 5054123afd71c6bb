package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

// sink writes records to MongoDB, one document each.
type sink struct {
	config   config
	client   *mongo.Client
	database *mongo.Database
}

// open does not wait for the server: one that is down is met by Write, which the runtime retries.
func open(_ context.Context, c config) (connect.Sink, error) {
	opts := c.clientOptions()
	if err := opts.Validate(); err != nil {
		if errors.As(err, new(*net.DNSError)) {
			return nil, fmt.Errorf("look up the servers of uri: %w", err)
		}
		return nil, connect.Fatal(fmt.Errorf("read uri: %w", checkURI(string(c.URI))))
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, fmt.Errorf("start the driver: %w", err)
	}
	return &sink{config: c, client: client, database: client.Database(c.Database)}, nil
}

// Write sends the batch as bulk writes, none of which holds an _id twice, so that the server may take their documents in any order
// and records of one _id still follow each other. Nothing is written after a failure that a retry may mend.
func (s *sink) Write(ctx context.Context, batch []connect.Record) error {
	var failed connect.BatchError
	var ops []operation
	for i, r := range batch {
		op, err := s.config.operation(i, r)
		if err != nil {
			failed.Add(i, err)
			continue
		}
		ops = append(ops, op)
	}
	bulks := group(ops)
	for n, b := range bulks {
		var stop error
		for i, err := range s.run(ctx, b) {
			failed.Add(b.ops[i].record, err)
			if connect.ClassOf(err) > connect.ClassRejected {
				stop = err
			}
		}
		if stop != nil {
			for _, rest := range bulks[n+1:] {
				for _, op := range rest.ops {
					failed.Add(op.record, stop)
				}
			}
			break
		}
	}
	return failed.Err()
}

// Ping asks the primary.
func (s *sink) Ping(ctx context.Context) error {
	return s.client.Ping(ctx, readpref.Primary())
}

// Close ends the driver's connections and its watch over the servers.
func (s *sink) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Timeout)
	defer cancel()
	return s.client.Disconnect(ctx)
}
