package connect_test

import (
	"context"
	"fmt"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// A mailer is a sink for a target that cannot tell that it got a record before.
type mailer struct{ sent *connect.Dedup }

func (m mailer) Write(_ context.Context, batch []connect.Record) error {
	var bad connect.BatchError
	for i, r := range m.sent.Unseen(batch) {
		if len(r.Value) == 0 {
			bad.Add(i, connect.Reject(fmt.Errorf("%s@%d: nothing to send", r.Topic, r.Offset)))
			continue
		}
		fmt.Printf("send %s: %s\n", r.Key, r.Value)
		m.sent.Add(r) // what is sent is sent, whatever becomes of the rest of the batch
	}
	return bad.Err()
}

func (m mailer) Close() error { return nil }

func ExampleDedup() {
	sink := mailer{sent: connect.NewDedup(connect.DefaultDedupIDs)}
	batch := []connect.Record{
		{Topic: "/default/mails", Offset: 1, Key: "anna", Value: []byte("hello")},
		{Topic: "/default/mails", Offset: 2, Key: "bert"},
	}
	fmt.Println(sink.Write(context.Background(), batch))
	batch = append(batch[:1], connect.Record{Topic: "/default/mails", Offset: 3, Key: "bert", Value: []byte("hello too")})
	fmt.Println(sink.Write(context.Background(), batch)) // the broker delivers the first again
	// Output:
	// send anna: hello
	// record 1: /default/mails@2: nothing to send
	// send bert: hello too
	// <nil>
}

func ExampleFixedID() {
	r := connect.Record{Attributes: map[string]string{connect.EventIDAttribute: "orders.csv:4711"}}
	id := connect.NewFixedID(r.EventID())
	fmt.Println(id, len(id), "bytes")
	fmt.Println(id.UUID())
	// Output:
	// 4f3e52bad144f1c406bc18f1f1eceece 16 bytes
	// 4f3e52ba-d144-81c4-86bc-18f1f1eceece
}
