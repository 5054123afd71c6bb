package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// batchError asserts that err tells the outcome of single records.
func batchError(t *testing.T, err error) *connect.BatchError {
	t.Helper()
	var batch *connect.BatchError
	require.ErrorAs(t, err, &batch)
	return batch
}

func TestSingleSendsOneRequestPerRecordInOrder(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, nil)
	s := openSink(t, settings(rec.URL))
	batch := records(`{"a":1}`, "not JSON at all", "")
	batch[1].Key, batch[1].Partition = "user é", 3
	batch[2].Attributes = map[string]string{connect.EventIDAttribute: "line-17"}
	require.NoError(t, s.Write(t.Context(), batch))

	require.Equal(t, []string{`{"a":1}`, "not JSON at all", ""}, rec.bodies())
	second := rec.seen()[1]
	require.Equal(t, "POST /events", second.Method+" "+second.Path)
	want := map[string]string{
		"Content-Type": "application/json", "User-Agent": "sink-http", "Authorization": "", "Danube-Topic": "/default/events",
		"Danube-Partition": "3", "Danube-Offset": "1", "Danube-Publish-Time": "1700000000001", "Danube-Key": "user %C3%A9",
		"Idempotency-Key": batch[1].EventID(),
	}
	got := map[string]string{}
	for name := range want {
		got[name] = second.Header.Get(name)
	}
	require.Empty(t, cmp.Diff(want, got))
	require.Equal(t, "line-17", rec.seen()[2].Header.Get("Idempotency-Key"))
	require.NotContains(t, rec.seen()[0].Header, "Danube-Partition")
}

func TestSingleReportsTheFailedRecordAndThoseAfterIt(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	rec := newReceiver(t, func(w http.ResponseWriter, r request) {
		switch {
		case r.Body == "poison":
			http.Error(w, "no such field", http.StatusUnprocessableEntity)
		case r.Body == "three" && down.Load():
			http.Error(w, "database is restarting", http.StatusServiceUnavailable)
		}
	})
	s := openSink(t, settings(rec.URL))
	batch := records("one", "poison", "two", "three", "four")

	failed := batchError(t, s.Write(t.Context(), batch))
	require.Equal(t, []int{1, 3, 4}, failed.Indexes())
	require.Equal(t, connect.ClassRejected, connect.ClassOf(failed.At(1)))
	require.ErrorContains(t, failed.At(1), "endpoint replied 422 Unprocessable Entity: no such field")
	require.Equal(t, connect.ClassRetry, connect.ClassOf(failed.At(3)))
	require.Equal(t, connect.ClassRetry, connect.ClassOf(failed.At(4)))
	require.ErrorContains(t, failed.At(3), "database is restarting")

	down.Store(false)
	require.NoError(t, s.Write(t.Context(), batch[3:]))
	require.Equal(t, []string{"one", "poison", "two", "three", "three", "four"}, rec.bodies(), "four must not overtake three")
	before, after := rec.seen()[3], rec.seen()[4]
	require.Equal(t, before.Header.Get("Idempotency-Key"), after.Header.Get("Idempotency-Key"))
}

func TestBatchBodies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, contentType, want string }{
		"array":  {body: bodyArray, contentType: "application/json", want: "[{\"a\":1},{\n\"b\": \"x\\ny\"\r\n},3]\n"},
		"ndjson": {body: bodyNDJSON, contentType: "application/x-ndjson", want: "{\"a\":1}\n{\"b\":\"x\\ny\"}\n3\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var down atomic.Bool
			down.Store(true)
			rec := newReceiver(t, func(w http.ResponseWriter, _ request) {
				if down.Load() {
					w.WriteHeader(http.StatusBadGateway)
				}
			})
			c := settings(rec.URL)
			c.Body = tt.body
			s := openSink(t, c)
			batch := records(`{"a":1}`, "oops", "{\n\"b\": \"x\\ny\"\r\n}", "3", "\"\xff\"", "")

			failed := batchError(t, s.Write(t.Context(), batch))
			require.Equal(t, []int{0, 1, 2, 3, 4, 5}, failed.Indexes())
			for i, want := range []connect.Class{
				connect.ClassRetry, connect.ClassRejected, connect.ClassRetry, connect.ClassRetry, connect.ClassRejected, connect.ClassRejected,
			} {
				require.Equal(t, want, connect.ClassOf(failed.At(i)), "record %d: %v", i, failed.At(i))
			}
			down.Store(false)
			require.NoError(t, s.Write(t.Context(), []connect.Record{batch[0], batch[2], batch[3]}))

			require.Equal(t, []string{tt.want, tt.want}, rec.bodies(), "a retry sends the same bytes")
			first, second := rec.seen()[0].Header, rec.seen()[1].Header
			require.Equal(t, first.Get("Idempotency-Key"), second.Get("Idempotency-Key"))
			require.Equal(t, "3", first.Get("Danube-Record-Count"))
			require.Equal(t, tt.contentType, first.Get("Content-Type"))
		})
	}
}

func TestRejectedBatchIsLeftToTheRuntime(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, func(w http.ResponseWriter, r request) {
		if strings.Contains(r.Body, "bad") {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	c := settings(rec.URL)
	c.Body = bodyArray
	s := openSink(t, c)

	err := s.Write(t.Context(), records("1", `"bad"`, "2"))
	require.Equal(t, connect.ClassRejected, connect.ClassOf(err))
	require.False(t, errors.As(err, new(*connect.BatchError)), "the whole batch is rejected, so that it is halved: %v", err)

	failed := batchError(t, s.Write(t.Context(), records(`"bad"`)))
	require.Equal(t, connect.ClassRejected, connect.ClassOf(failed.At(0)), "a record alone is known to be the bad one")

	failed = batchError(t, s.Write(t.Context(), records("1", `"bad"`, "no JSON")))
	require.Equal(t, connect.ClassRetry, connect.ClassOf(failed.At(0)), "a good record must not be condemned with its neighbours")
	require.Equal(t, connect.ClassRetry, connect.ClassOf(failed.At(1)))
	require.Equal(t, connect.ClassRejected, connect.ClassOf(failed.At(2)))
}

func TestRouteReplacesThePath(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, nil)
	c := settings(rec.URL)
	c.Body = bodyNDJSON
	s := openSink(t, c)
	batch := records("1", "2", "3", "4")
	batch[1].To, batch[2].To = "/other?x=1", "/other?x=1"
	require.NoError(t, s.Write(t.Context(), batch))
	var got []string
	for _, r := range rec.seen() {
		got = append(got, r.Path+" "+r.Body)
	}
	require.Equal(t, []string{"/events 1\n", "/other?x=1 2\n3\n", "/events 4\n"}, got)

	for _, to := range []string{"http://elsewhere/", "//elsewhere/x", "relative", "/%zz"} {
		batch[0].To = to
		err := s.Write(t.Context(), batch)
		require.Equal(t, connect.ClassFatal, connect.ClassOf(err), "%q: %v", to, err)
		require.ErrorContains(t, err, "is not a path")
	}
	require.Len(t, rec.seen(), 3, "nothing is sent to another host")
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, nil)
	rec := newReceiver(t, func(w http.ResponseWriter, _ request) {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	c := settings(rec.URL)
	c.Token = "s3cret"
	err := openSink(t, c).Write(t.Context(), records("1"))
	require.Equal(t, connect.ClassFatal, connect.ClassOf(err))
	require.ErrorContains(t, err, "location "+elsewhere.URL)
	require.Empty(t, elsewhere.seen())
}

func TestTokenAndQueryStayOutOfErrors(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, status(http.StatusUnauthorized))
	c := settings(rec.URL)
	c.URL += "?key=s3cret"
	c.Token = "t0ken"
	err := openSink(t, c).Write(t.Context(), records("1"))
	require.Equal(t, connect.ClassFatal, connect.ClassOf(err))
	require.Equal(t, "Bearer t0ken", rec.seen()[0].Header.Get("Authorization"))
	require.Equal(t, "/events?key=s3cret", rec.seen()[0].Path)

	unreachable := settings("http://" + closedAddress(t))
	unreachable.URL += "?key=s3cret"
	down := openSink(t, unreachable).Write(t.Context(), records("1"))
	require.Equal(t, connect.ClassRetry, connect.ClassOf(down))
	require.ErrorContains(t, down, "connection refused")
	for _, text := range []string{err.Error(), down.Error()} {
		require.NotContains(t, text, "s3cret")
		require.NotContains(t, text, "t0ken")
	}
}

// closedAddress is one that refuses connections.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func TestTimeoutAndShutdownEndARequest(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	rec := newReceiver(t, func(http.ResponseWriter, request) {
		arrived <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) })
	c := settings(rec.URL)
	c.Timeout = 20 * time.Millisecond
	start := time.Now()
	err := openSink(t, c).Write(t.Context(), records("1"))
	require.Less(t, time.Since(start), 5*time.Second)
	require.Equal(t, connect.ClassRetry, connect.ClassOf(err))
	require.ErrorContains(t, err, "no reply within 20ms")
	<-arrived

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	err = openSink(t, settings(rec.URL)).Write(ctx, records("1"))
	require.Equal(t, connect.ClassRetry, connect.ClassOf(err))
	require.ErrorIs(t, batchError(t, err).At(0), context.Canceled)
}

func TestRepliesAreDrainedAndConnectionsKept(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, func(w http.ResponseWriter, _ request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("\x1b[31m" + strings.Repeat("long ", 10_000)))
	})
	s := openSink(t, settings(rec.URL))
	for range 20 {
		failed := batchError(t, s.Write(t.Context(), records("1", "2")))
		require.Less(t, len(failed.At(0).Error()), 400, "an error text stays short")
		require.NotContains(t, failed.At(0).Error(), "\x1b", "no control characters in logs")
	}
	require.Len(t, rec.seen(), 40)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	require.Equal(t, 1, rec.connections)
}

func TestAReplyWithoutEndIsCutOff(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, func(w http.ResponseWriter, _ request) {
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return // the sink closed the connection
			}
		}
	})
	require.NoError(t, openSink(t, settings(rec.URL)).Write(t.Context(), records("1", "2")))
	require.Len(t, rec.seen(), 2)
}

// roundTripper is a transport without a network, which a synctest bubble can wait for.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header func() string
		limit  time.Duration
		want   time.Duration
	}{
		"seconds":          {header: func() string { return "7" }, limit: time.Minute, want: 7 * time.Second},
		"date":             {header: func() string { return time.Now().Add(30 * time.Second).UTC().Format(http.TimeFormat) }, limit: time.Minute, want: 30 * time.Second},
		"past date":        {header: func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, limit: time.Minute},
		"longer than max":  {header: func() string { return "86400" }, limit: time.Minute, want: time.Minute},
		"beyond any clock": {header: func() string { return "99999999999999999999" }, limit: time.Minute},
		"ignored":          {header: func() string { return "7" }, limit: 0},
		"nonsense":         {header: func() string { return "soon" }, limit: time.Minute},
		"absent":           {header: func() string { return "" }, limit: time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := settings("http://receiver.test")
				c.RetryAfterMax = tt.limit
				s := openSink(t, c)
				code := http.StatusTooManyRequests
				s.client.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {tt.header()}}, Body: http.NoBody}, nil
				})
				start := time.Now()
				require.ErrorContains(t, s.Write(t.Context(), records("1")), "429")
				require.Zero(t, time.Since(start), "the failure is told at once, the pause comes before the next request")
				code = http.StatusOK
				require.NoError(t, s.Write(t.Context(), records("1")))
				require.Equal(t, tt.want, time.Since(start))
			})
		})
	}
}

func TestRejectedRecordsDoNotPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, settings("http://receiver.test"))
		s.client.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Retry-After": {"7"}}, Body: http.NoBody}, nil
		})
		start := time.Now()
		for range 2 {
			require.ErrorContains(t, s.Write(t.Context(), records("1")), "400")
		}
		require.Zero(t, time.Since(start))
	})
}

func TestPauseEndsAtShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, settings("http://receiver.test"))
		s.notBefore = time.Now().Add(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Write(ctx, records("1"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, connect.ClassRetry, connect.ClassOf(err))
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t, nil)
	require.NoError(t, openSink(t, settings(rec.URL)).Ping(t.Context()))
	require.Empty(t, rec.seen(), "a ping is not a request")
	s := openSink(t, settings("http://"+closedAddress(t)))
	require.ErrorContains(t, s.Ping(t.Context()), "connection refused")

	proxy, err := url.Parse(rec.URL)
	require.NoError(t, err)
	s.transport.Proxy = http.ProxyURL(proxy)
	require.NoError(t, s.Ping(t.Context()), "behind a proxy only the proxy can be reached")
}
