package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// realServer gives settings for a database of its own on the server that MONGODB_TEST_URI names.
func realServer(t *testing.T) config {
	t.Helper()
	uri := os.Getenv("MONGODB_TEST_URI")
	if uri == "" {
		t.Skip("MONGODB_TEST_URI names no server")
	}
	c := settings(uri)
	c.Database = "e2e_" + bson.NewObjectID().Hex()
	return c
}

// stored reads a collection in natural order.
func stored(t testing.TB, s *sink, collection string) []bson.Raw {
	t.Helper()
	cursor, err := s.database.Collection(collection).Find(t.Context(), bson.D{})
	require.NoError(t, err)
	var docs []bson.Raw
	require.NoError(t, cursor.All(t.Context(), &docs))
	return docs
}

// openReal opens a sink whose database is dropped after the test.
func openReal(t *testing.T, c config) *sink {
	t.Helper()
	s := openSink(t, c)
	t.Cleanup(func() { require.NoError(t, s.database.Drop(context.WithoutCancel(t.Context()))) })
	require.NoError(t, s.Ping(t.Context()))
	return s
}

func TestE2EInsertEveryRecordOnce(t *testing.T) {
	t.Parallel()
	c := realServer(t)
	s := openReal(t, c)
	const batches, size = 20, 500
	offered, writes := 0, 0
	for b := range batches {
		batch := records(make([]string, size)...)
		for i := range batch {
			batch[i].Offset = uint64(b*size + i)
			batch[i].Value = fmt.Appendf(nil, `{"seq":%d,"text":"é😀 %s"}`, batch[i].Offset, strings.Repeat("x", 150))
		}
		offered += size
		for _, part := range [][]connect.Record{batch[:size/2], batch, batch} { // a redelivery after a crash in mid-batch, and another one
			require.NoError(t, s.Write(t.Context(), part))
			writes += len(part)
		}
	}
	seen := map[int32]int{}
	for _, value := range field(stored(t, s, c.Collection), "seq") {
		seen[value.(int32)]++
	}
	duplicates := 0
	for _, n := range seen {
		duplicates += n - 1
	}
	t.Logf("offered %d, written %d times, stored %d, lost %d, duplicates %d", offered, writes, len(seen), offered-len(seen), duplicates)
	require.Len(t, seen, offered)
	require.Zero(t, duplicates)
}

func TestE2EReplaceKeepsTheNewestOfEachKey(t *testing.T) {
	t.Parallel()
	c := realServer(t)
	c.Mode, c.ID = modeReplace, idKey
	s := openReal(t, c)
	const total, keys, size = 5000, 50, 250
	for from := 0; from < total; from += size {
		batch := records(make([]string, size)...)
		for i := range batch {
			batch[i].Key = fmt.Sprintf("k%d", (from+i)*7%keys)
			batch[i].Value = fmt.Appendf(nil, `{"n":%d}`, from+i)
		}
		require.NoError(t, s.Write(t.Context(), batch))
		require.NoError(t, s.Write(t.Context(), batch))
	}
	docs := stored(t, s, c.Collection)
	t.Logf("offered %d on %d keys, stored %d", total, keys, len(docs))
	require.Len(t, docs, keys)
	for _, n := range field(docs, "n") {
		require.GreaterOrEqual(t, n, int32(total-keys), "an older record replaced a newer one")
	}
}

func TestE2ETwoSinksUpsertTheSameKeys(t *testing.T) {
	t.Parallel()
	c := realServer(t)
	c.Mode, c.ID = modeReplace, idKey
	first := openReal(t, c)
	second := openSink(t, c)
	batch := records(make([]string, 200)...)
	for i := range batch {
		batch[i].Key, batch[i].Value = fmt.Sprintf("k%d", i), []byte(`{"n":1}`)
	}
	var writers sync.WaitGroup
	errs := make([]error, 2)
	for i, s := range []*sink{first, second} {
		writers.Go(func() { errs[i] = s.Write(t.Context(), batch) })
	}
	writers.Wait()
	for i, err := range errs {
		require.Contains(t, []connect.Class{written, retry}, connect.ClassOf(err), "%v", err)
		if err != nil {
			require.NoError(t, []*sink{first, second}[i].Write(t.Context(), batch), "the second try finds the document of the other")
		}
	}
	require.Len(t, stored(t, first, c.Collection), len(batch))
}

func TestE2EErrorsOfSingleDocuments(t *testing.T) {
	t.Parallel()
	c := realServer(t)
	s := openReal(t, c)
	_, err := s.database.Collection(c.Collection).Indexes().CreateOne(t.Context(), mongo.IndexModel{
		Keys: bson.D{{Key: "email", Value: 1}}, Options: options.Index().SetUnique(true),
	})
	require.NoError(t, err)
	batch := records(`{"n":0,"email":"a"}`, "oops", `{"n":2,"email":"a"}`, `{"n":3,"email":"b"}`, `{"n":4,"email":"c"}`)
	want := []connect.Class{written, rejected, rejected, written, written}
	err = s.Write(t.Context(), batch)
	require.Equal(t, want, classes(t, err, len(batch)), "%v", err)
	err = s.Write(t.Context(), batch)
	require.Equal(t, want, classes(t, err, len(batch)), "the same again after a redelivery: %v", err)
	require.Equal(t, []any{int32(0), int32(3), int32(4)}, field(stored(t, s, c.Collection), "n"))
}

func TestE2ETheLargestDocument(t *testing.T) {
	t.Parallel()
	c := realServer(t)
	c.ID = idKey
	s := openReal(t, c)
	batch := keyed(records(`{}`, `{}`, `{}`), strings.Repeat("k", maxDocumentBytes-keyOverhead), strings.Repeat("k", maxDocumentBytes-keyOverhead+1), "small")
	err := s.Write(t.Context(), batch)
	require.Equal(t, []connect.Class{written, rejected, written}, classes(t, err, 3), "%v", err)
	require.Len(t, stored(t, s, c.Collection), 2)
}

func TestE2ETypes(t *testing.T) {
	t.Parallel()
	c := realServer(t)
	c.ID, c.IncludeMetadata = idField, true
	s := openReal(t, c)
	batch := records(`{"_id":{"$oid":"507f1f77bcf86cd799439011"},"at":{"$date":"2024-05-01T12:00:00.123Z"},"price":{"$numberDecimal":"19.90"},"big":9007199254740993}`)
	batch[0].To = "other"
	require.NoError(t, s.Write(t.Context(), batch))
	docs := stored(t, s, "other")
	require.Len(t, docs, 1)
	for name, want := range map[string]bson.Type{
		"_id": bson.TypeObjectID, "at": bson.TypeDateTime, "price": bson.TypeDecimal128, "big": bson.TypeInt64, "_danube": bson.TypeEmbeddedDocument,
	} {
		require.Equal(t, want, docs[0].Lookup(name).Type, name)
	}
	require.Equal(t, "/default/events", docs[0].Lookup("_danube", "topic").StringValue())
	require.Equal(t, int64(9007199254740993), docs[0].Lookup("big").Int64())
}
