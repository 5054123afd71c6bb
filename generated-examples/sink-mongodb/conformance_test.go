package main

import (
	"context"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/connecttest"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestContract(t *testing.T) {
	t.Parallel()
	contracts(t, func(t *testing.T) config { return settings(startFakeMongo(t).uri()) })
}

func TestE2EContract(t *testing.T) {
	t.Parallel()
	realServer(t) // skips the test when there is none
	contracts(t, realServer)
}

// contracts runs the contract in each mode that keeps one document per record, against the servers that server gives.
func contracts(t *testing.T, server func(t *testing.T) config) {
	t.Helper()
	modes := map[string]func(c *config){
		"insert by event id":  func(*config) {},
		"replace by event id": func(c *config) { c.Mode = modeReplace },
		"replace by field":    func(c *config) { c.Mode, c.ID, c.IDField = modeReplace, idField, "seq" },
	}
	for name, change := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connecttest.Sink(t, func(t *testing.T) connecttest.SinkTarget {
				c := server(t)
				change(&c)
				reader := openReal(t, c)
				return connecttest.SinkTarget{
					Open:       func(ctx context.Context) (connect.Sink, error) { return open(ctx, c) },
					Stored:     func(t testing.TB) [][]byte { return jsonDocuments(t, stored(t, reader, c.Collection)) },
					Poison:     []byte("{not JSON"),
					Idempotent: true,
				}
			})
		})
	}
}

// jsonDocuments turns documents back into JSON.
func jsonDocuments(t testing.TB, docs []bson.Raw) [][]byte {
	t.Helper()
	texts := make([][]byte, len(docs))
	for i, doc := range docs {
		text, err := bson.MarshalExtJSON(doc, false, false)
		require.NoError(t, err)
		texts[i] = text
	}
	return texts
}

func TestFiles(t *testing.T) {
	t.Parallel()
	connecttest.SinkFiles[config](t, "mongodb")
}
