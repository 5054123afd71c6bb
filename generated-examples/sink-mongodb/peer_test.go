package main

import (
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are the defaults for the given server.
func settings(uri string) config {
	return config{
		URI: connect.Secret(uri), Database: "shop", Collection: "events", Mode: modeInsert, ID: idEvent, IDField: "_id",
		WriteConcern: "majority", Journal: true, Timeout: 10 * time.Second,
	}
}

// openSink opens a sink that is closed with the test.
func openSink(t *testing.T, c config) *sink {
	t.Helper()
	require.NoError(t, c.Validate())
	opened, err := open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.(*sink)
}

// records makes one record of each value, as the runtime hands them over.
func records(values ...string) []connect.Record {
	batch := make([]connect.Record, len(values))
	for i, value := range values {
		batch[i] = connect.Record{
			Topic: "/default/events", Partition: -1, Offset: uint64(i), Value: []byte(value),
			PublishTime: time.UnixMilli(1_700_000_000_000 + int64(i)), Producer: "test",
		}
	}
	return batch
}

// keyed gives the records their routing keys.
func keyed(batch []connect.Record, keys ...string) []connect.Record {
	for i := range batch {
		batch[i].Key = keys[i]
	}
	return batch
}

// classes names what becomes of each record of a batch after Write returned err.
func classes(t *testing.T, err error, n int) []connect.Class {
	t.Helper()
	got := make([]connect.Class, n)
	if err == nil {
		return got
	}
	var failed *connect.BatchError
	require.ErrorAs(t, err, &failed)
	for i := range got {
		got[i] = connect.ClassOf(failed.At(i))
	}
	return got
}

// field lists one field of documents, in their order.
func field(docs []bson.Raw, name string) []any {
	values := make([]any, len(docs))
	for i, doc := range docs {
		if err := doc.Lookup(name).Unmarshal(&values[i]); err != nil {
			values[i] = err
		}
	}
	return values
}
