package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/danube-messaging/danube-connect-go/runtime/connecttest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	for _, body := range []string{bodySingle, bodyArray, bodyNDJSON} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			connecttest.Sink(t, func(t *testing.T) connecttest.SinkTarget {
				target := &store{body: body, seen: map[string]bool{}}
				c := settings(newReceiver(t, target.take).URL)
				c.Body = body
				return connecttest.SinkTarget{
					Open:       func(ctx context.Context) (connect.Sink, error) { return open(ctx, c) },
					Stored:     target.stored,
					Poison:     []byte("{not JSON"),
					Idempotent: body == bodySingle, // after a restart the same records may come in other batches
				}
			})
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	connecttest.SinkFiles[config](t, "http")
}

// A store is a receiver's memory: it takes JSON, each Idempotency-Key once.
type store struct {
	body string

	mu        sync.Mutex
	seen      map[string]bool
	documents [][]byte
}

// take stores the documents of a request and answers it.
func (s *store) take(w http.ResponseWriter, r request) {
	documents, ok := s.split(r.Body)
	if !ok {
		http.Error(w, "not JSON", http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := r.Header.Get("Idempotency-Key"); !s.seen[key] {
		s.seen[key] = true
		s.documents = append(s.documents, documents...)
	}
	w.WriteHeader(http.StatusCreated)
}

// split gives the documents of a body, false when one of them is not JSON.
func (s *store) split(body string) ([][]byte, bool) {
	var documents []json.RawMessage
	switch s.body {
	case bodyArray:
		if err := json.Unmarshal([]byte(body), &documents); err != nil {
			return nil, false
		}
	case bodyNDJSON:
		for line := range strings.Lines(body) {
			documents = append(documents, json.RawMessage(line))
		}
	default:
		documents = []json.RawMessage{json.RawMessage(body)}
	}
	values := make([][]byte, len(documents))
	for i, d := range documents {
		if !json.Valid(d) {
			return nil, false
		}
		values[i] = d
	}
	return values, true
}

func (s *store) stored(testing.TB) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.documents...)
}
