package danubetest

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A ticket stands for commands that found a dispatcher's queue full. Whoever sent them waits for it, with nothing locked. The
// topic's lock guards it.
type ticket struct {
	topic    *topic
	commands []command     // what has no place yet
	done     chan struct{} // closed when all have a place, or never will
	finished bool
	err      error // why they never will; set before done is closed
}

var errDispatcherGone = status.Error(codes.Unavailable, "the subscription ended while the call waited for it")

// finish ends the wait.
func (tk *ticket) finish(err error) {
	if !tk.finished {
		tk.finished, tk.err, tk.commands = true, err, nil
		close(tk.done)
	}
}

// wait returns when every command has its place. A caller that gives up takes back what has none. There is nothing to wait for on a
// nil ticket.
func (tk *ticket) wait(ctx context.Context) error {
	if tk == nil {
		return nil
	}
	select {
	case <-tk.done:
		return tk.err
	case <-ctx.Done():
	}
	tk.topic.mu.Lock()
	defer tk.topic.mu.Unlock()
	err := status.FromContextError(ctx.Err()).Err()
	tk.finish(err)
	return err
}

// awaitAll waits for tickets of a publish. One whose subscription ends is no concern of the publisher: its message is stored.
func awaitAll(ctx context.Context, tickets []*ticket) error {
	for _, tk := range tickets {
		if err := tk.wait(ctx); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// A table is the real broker's lock on the subscriptions of a topic, which is held by an Ack or Nack that waits. Without the trap
// queue it is nil and never held.
type table chan struct{}

func newTable(rules traps) table {
	if !rules.has(trapQueue) {
		return nil
	}
	return make(table, 1)
}

// hold waits for the table, no longer than ctx allows.
func (t table) hold(ctx context.Context) error {
	if t == nil {
		return nil
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (t table) release() {
	if t != nil {
		<-t
	}
}
