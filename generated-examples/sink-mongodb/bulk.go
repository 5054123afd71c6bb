package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The driver cuts a bulk write that exceeds one message of the wire protocol (48 MB, 100,000 operations) and then keeps the write
// concern error of the last piece only. These limits stay below, so that no piece can be taken for written when it was not.
const (
	maxBulkBytes      = 32 << 20
	maxBulkOperations = 50_000
)

// A bulk is one bulk write: operations on one collection, no _id twice.
type bulk struct {
	collection string
	ops        []operation
	bytes      int
}

// group cuts operations into bulks, to be run in order: the n-th operation on an _id is in a bulk of the n-th round.
func group(ops []operation) []bulk {
	var rounds [][]bulk
	repeats := make(map[[2]string]int)
	for _, op := range ops {
		target := [2]string{op.collection, op.id}
		n := repeats[target]
		repeats[target]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = add(rounds[n], op)
	}
	return slices.Concat(rounds...)
}

// add puts op into the first bulk that has room for it.
func add(round []bulk, op operation) []bulk {
	for i := range round {
		b := &round[i]
		if b.collection == op.collection && b.bytes+op.bytes <= maxBulkBytes && len(b.ops) < maxBulkOperations {
			b.ops, b.bytes = append(b.ops, op), b.bytes+op.bytes
			return round
		}
	}
	return append(round, bulk{collection: op.collection, ops: []operation{op}, bytes: op.bytes})
}

// run writes a bulk and returns the outcome of each of its operations. A command that the server refuses because of a document in
// it is run again in halves, until the bad document stands alone.
func (s *sink) run(ctx context.Context, b bulk) []error {
	err := s.write(ctx, b)
	outcomes := make([]error, len(b.ops))
	var failures mongo.BulkWriteException
	if !errors.As(err, &failures) {
		err = s.judge(b, err)
		if half := len(b.ops) / 2; half > 0 && connect.ClassOf(err) == connect.ClassRejected {
			first, second := b, b
			first.ops, second.ops = b.ops[:half], b.ops[half:]
			return append(s.run(ctx, first), s.run(ctx, second)...)
		}
		for i := range outcomes {
			outcomes[i] = err
		}
		return outcomes
	}
	// Without the write concern even an _id that is already there may vanish with the primary that holds it.
	if failures.WriteConcernError != nil {
		for i := range outcomes {
			outcomes[i] = s.judge(b, *failures.WriteConcernError)
		}
	}
	for _, failure := range failures.WriteErrors {
		if err := s.judge(b, failure.WriteError); err != nil {
			outcomes[failure.Index] = err
		}
	}
	return outcomes
}

// judge classifies an error and says where it happened.
func (s *sink) judge(b bulk, err error) error {
	if err == nil {
		return nil
	}
	return classify(fmt.Errorf("write to %s.%s: %w", s.config.Database, b.collection, err), s.config.Mode)
}

// write is one call of the driver.
func (s *sink) write(ctx context.Context, b bulk) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	models := make([]mongo.WriteModel, len(b.ops))
	for i, op := range b.ops {
		models[i] = op.model
	}
	_, err := s.database.Collection(b.collection).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return err
}
