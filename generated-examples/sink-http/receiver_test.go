package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A request is what the receiver saw of one.
type request struct {
	Method, Path, Body string
	Header             http.Header
}

// A receiver is an HTTP server that keeps every request and answers as told.
type receiver struct {
	URL string

	mu          sync.Mutex
	requests    []request
	connections int
	answer      func(w http.ResponseWriter, r request) // nil answers 204
}

// newReceiver starts a receiver that stops with the test.
func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r request)) *receiver {
	t.Helper()
	rec := &receiver{answer: answer}
	server := httptest.NewUnstartedServer(rec)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		if state == http.StateNew {
			rec.connections++
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	rec.URL = server.URL
	return rec
}

// ServeHTTP keeps the request, then answers.
func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away in mid-request
	}
	got := request{Method: r.Method, Path: r.URL.RequestURI(), Body: string(body), Header: r.Header}
	rec.mu.Lock()
	rec.requests = append(rec.requests, got)
	rec.mu.Unlock()
	if rec.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	rec.answer(w, got)
}

// seen returns the requests so far, in order of arrival.
func (rec *receiver) seen() []request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Clone(rec.requests)
}

// bodies returns what the requests carried.
func (rec *receiver) bodies() []string {
	var bodies []string
	for _, r := range rec.seen() {
		bodies = append(bodies, r.Body)
	}
	return bodies
}

// status answers every request with one code.
func status(code int) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) { w.WriteHeader(code) }
}

// settings are the defaults with the given URL.
func settings(url string) config {
	return config{
		URL: url + "/events", Method: http.MethodPost, Body: bodySingle, Timeout: 10 * time.Second,
		SuccessCodes: []string{"2xx"}, RetryAfterMax: time.Minute,
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
