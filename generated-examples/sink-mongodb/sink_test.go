package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	written  = connect.ClassNone
	rejected = connect.ClassRejected
	retry    = connect.ClassRetry
	fatal    = connect.ClassFatal
)

func TestInsertKeepsOneDocumentPerEvent(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	s := openSink(t, settings(f.uri()))
	batch := records(`{"seq":0,"text":"é😀"}`, `{"seq":1}`, `{"seq":2}`)
	batch[1].Attributes = map[string]string{connect.EventIDAttribute: "line-17"}
	require.NoError(t, s.Write(t.Context(), batch[:2]))
	require.NoError(t, s.Write(t.Context(), batch), "a duplicate _id is a document that was written before")

	docs := f.documents("shop.events")
	require.Equal(t, []any{int32(0), int32(1), int32(2)}, field(docs, "seq"))
	require.Equal(t, []any{batch[0].EventID(), "line-17", batch[2].EventID()}, field(docs, "_id"))
	require.Equal(t, "é😀", docs[0].Lookup("text").StringValue())
	require.Equal(t, []string{"insert shop.events 2", "insert shop.events 3"}, f.seen())
}

func TestReplaceKeepsTheNewestOfAKey(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	c := settings(f.uri())
	c.Mode, c.ID = modeReplace, idKey
	s := openSink(t, c)
	batch := keyed(records(`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":5}`, `{"n":6}`), "a", "b", "a", "a", "c", "b")
	for range 2 {
		require.NoError(t, s.Write(t.Context(), batch))
		docs := f.documents("shop.events")
		require.Equal(t, []any{"a", "b", "c"}, field(docs, "_id"))
		require.Equal(t, []any{int32(4), int32(6), int32(5)}, field(docs, "n"))
	}
	require.Equal(t, []string{"update shop.events 3", "update shop.events 2", "update shop.events 1"}, f.seen()[:3],
		"a repeated _id begins a new bulk write")
}

func TestRouteNamesTheCollection(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	s := openSink(t, settings(f.uri()))
	batch := records(`{"n":1}`, `{"n":2}`, `{"n":3}`)
	batch[1].To = "orders"
	require.NoError(t, s.Write(t.Context(), batch))
	require.Equal(t, []any{int32(1), int32(3)}, field(f.documents("shop.events"), "n"))
	require.Equal(t, []any{int32(2)}, field(f.documents("shop.orders"), "n"))
}

func TestBadValuesAreRejectedAlone(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	s := openSink(t, settings(f.uri()))
	batch := records(`{"n":0}`, "oops", `{"n":2}`, `[1]`, "")
	err := s.Write(t.Context(), batch)
	require.Equal(t, []connect.Class{written, rejected, written, rejected, rejected}, classes(t, err, 5))
	require.Equal(t, []any{int32(0), int32(2)}, field(f.documents("shop.events"), "n"))

	require.Equal(t, []connect.Class{rejected}, classes(t, s.Write(t.Context(), batch[1:2]), 1))
	require.Len(t, f.seen(), 1, "a batch without documents sends nothing")
}

// keyOverhead is the size of a document that holds nothing but an _id, without the text of the _id.
const keyOverhead = 4 + len("\x02_id\x00") + 4 + 1 + 1

func TestDocumentsOverTheServersLimitAreNotSent(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	c := settings(f.uri())
	c.ID = idKey
	s := openSink(t, c)
	longest := strings.Repeat("k", maxDocumentBytes-keyOverhead)
	err := s.Write(t.Context(), keyed(records(`{}`, `{}`, `{}`), longest, longest+"k", "small"))
	require.Equal(t, []connect.Class{written, rejected, written}, classes(t, err, 3))
	require.ErrorContains(t, err, "document has 16777217 bytes; the server takes 16777216")
	docs := f.documents("shop.events")
	require.Len(t, docs, 2)
	require.Len(t, docs[0], maxDocumentBytes)
}

func TestErrorsOfSingleDocuments(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	f.unique = "email"
	f.validate = func(doc bson.Raw) int {
		if _, err := doc.LookupErr("invalid"); err == nil {
			return 121
		}
		return 0
	}
	s := openSink(t, settings(f.uri()))
	batch := records(`{"n":0,"email":"a"}`, "oops", `{"n":2,"invalid":true}`, `{"n":3,"email":"a"}`, `{"n":4}`, `{"n":5}`)
	f.fail(fault{writes: map[int]int{4: 112}}) // the fifth document sent, n = 5, meets a write conflict
	err := s.Write(t.Context(), batch)
	require.Equal(t, []connect.Class{written, rejected, rejected, rejected, written, retry}, classes(t, err, 6))
	require.ErrorContains(t, err, "write to shop.events: ")

	require.NoError(t, s.Write(t.Context(), batch[5:]))
	require.Equal(t, []any{int32(0), int32(4), int32(5)}, field(f.documents("shop.events"), "n"))
}

func TestNothingFollowsAFailureThatARetryMends(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	c := settings(f.uri())
	c.Mode, c.ID = modeReplace, idKey
	s := openSink(t, c)
	batch := keyed(records(`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`), "a", "b", "a", "b")
	f.fail(fault{writes: map[int]int{0: 112}})
	err := s.Write(t.Context(), batch)
	require.Equal(t, []connect.Class{retry, written, retry, retry}, classes(t, err, 4))
	require.Equal(t, []any{int32(2)}, field(f.documents("shop.events"), "n"))

	require.NoError(t, s.Write(t.Context(), []connect.Record{batch[0], batch[2], batch[3]}))
	require.ElementsMatch(t, []any{int32(3), int32(4)}, field(f.documents("shop.events"), "n"))
}

func TestARejectedRecordDoesNotHoldUpItsKey(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	c := settings(f.uri())
	c.Mode, c.ID = modeReplace, idKey
	s := openSink(t, c)
	f.fail(fault{writes: map[int]int{0: 121}})
	err := s.Write(t.Context(), keyed(records(`{"n":1}`, `{"n":2}`), "a", "a"))
	require.Equal(t, []connect.Class{rejected, written}, classes(t, err, 2))
	require.Equal(t, []any{int32(2)}, field(f.documents("shop.events"), "n"))
}

func TestWriteConcernErrorsAreRetried(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	s := openSink(t, settings(f.uri()))
	batch := records(`{"n":0}`, `{"n":1}`)
	f.fail(fault{concern: 64}, fault{concern: 64})
	for range 2 { // the second time every document is a duplicate, which proves nothing while the write concern fails
		err := s.Write(t.Context(), batch)
		require.Equal(t, []connect.Class{retry, retry}, classes(t, err, 2))
		require.ErrorContains(t, err, "waiting for replication timed out")
	}
	require.NoError(t, s.Write(t.Context(), batch))
	require.Len(t, f.documents("shop.events"), 2)

	f.fail(fault{concern: 79})
	require.Equal(t, []connect.Class{fatal, fatal}, classes(t, s.Write(t.Context(), batch), 2), "an unknown write concern")
}

func TestElectionsAreRetried(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	s := openSink(t, settings(f.uri()))
	batch := records(`{"n":0}`, `{"n":1}`)
	for _, code := range []int{10107, 13435, 11602} {
		f.fail(fault{command: code})
		require.Equal(t, []connect.Class{retry, retry}, classes(t, s.Write(t.Context(), batch), 2))
	}
	require.NoError(t, s.Write(t.Context(), batch))
	require.Len(t, f.documents("shop.events"), 2)
}

func TestConnectionCutInMidBatch(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	s := openSink(t, settings(f.uri()))
	batch := records(`{"n":0}`, `{"n":1}`, `{"n":2}`)
	f.fail(fault{cut: 2})
	err := s.Write(t.Context(), batch)
	require.Equal(t, []connect.Class{retry, retry, retry}, classes(t, err, 3), "%v", err)
	require.Len(t, f.documents("shop.events"), 2)
	require.NoError(t, s.Write(t.Context(), batch))
	require.Equal(t, []any{int32(0), int32(1), int32(2)}, field(f.documents("shop.events"), "n"))
}

func TestCommandRefusedForOneDocument(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	f.refuse = func(docs []bson.Raw) int {
		for _, doc := range docs {
			if doc.Lookup("n").AsInt64() == 5 {
				return 15 // Overflow: nested deeper than the server reads
			}
		}
		return 0
	}
	s := openSink(t, settings(f.uri()))
	var values []string
	want := make([]connect.Class, 8)
	want[5] = rejected
	for n := range want {
		values = append(values, fmt.Sprintf(`{"n":%d}`, n))
	}
	err := s.Write(t.Context(), records(values...))
	require.Equal(t, want, classes(t, err, 8))
	require.Len(t, f.documents("shop.events"), 7)
}

func TestServerDown(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	c := settings(f.uri())
	s := openSink(t, c)
	require.NoError(t, s.Ping(t.Context()))
	f.setDown(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Error(t, s.Ping(ctx))
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := s.Write(ctx, records(`{"n":0}`))
	require.Equal(t, []connect.Class{retry}, classes(t, err, 1))

	f.setDown(false)
	require.NoError(t, s.Write(t.Context(), records(`{"n":0}`)))
	require.NoError(t, s.Ping(t.Context()))
}

func TestTimeoutEndsTheSearchForAServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	c := settings("mongodb://" + listener.Addr().String())
	c.Timeout = 100 * time.Millisecond
	start := time.Now()
	err = openSink(t, c).Write(t.Context(), records(`{"n":0}`))
	require.Equal(t, []connect.Class{retry}, classes(t, err, 1))
	require.ErrorContains(t, err, "connection refused")
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestWrongPasswordIsFatalAndNotShown(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	f.denyLogin = true
	err := openSink(t, settings(strings.Replace(f.uri(), "//", "//root:s3cret@", 1))).Write(t.Context(), records(`{"n":0}`))
	require.Equal(t, []connect.Class{fatal}, classes(t, err, 1), "%v", err)
	require.NotContains(t, err.Error(), "s3cret")
}

func TestShutdownInMidWrite(t *testing.T) {
	t.Parallel()
	f := startFakeMongo(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.refuse = func([]bson.Raw) int {
		cancel()
		return 91 // ShutdownInProgress; the client is gone when it comes
	}
	err := openSink(t, settings(f.uri())).Write(ctx, records(`{"n":0}`))
	require.Equal(t, []connect.Class{retry}, classes(t, err, 1))
}

func TestOpenRefusesABadURIWithoutShowingIt(t *testing.T) {
	t.Parallel()
	_, err := open(t.Context(), settings("mongodb://root:s3cret/@host"))
	require.ErrorIs(t, err, connect.ErrFatal)
	require.NotContains(t, err.Error(), "s3cret")
	require.False(t, errors.Is(err, connect.ErrRejected))
}
