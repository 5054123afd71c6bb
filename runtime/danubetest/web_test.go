package danubetest_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A site is the HTTP port of a broker.
type site struct {
	t   *testing.T
	url string
}

func startSite(t *testing.T, b *danubetest.Broker) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.ServeStatus(l))
	require.Equal(t, "http://"+l.Addr().String(), b.StatusURL())
	return &site{t: t, url: b.StatusURL()}
}

// do sends a request; headers come in pairs, and Host is one of them.
func (s *site) do(method, path, body string, headers ...string) (status int, answer string, h http.Header) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(raw), resp.Header
}

func (s *site) get(path string, into any) {
	s.t.Helper()
	status, answer, _ := s.do("GET", path, "")
	require.Equal(s.t, http.StatusOK, status, answer)
	require.NoError(s.t, json.Unmarshal([]byte(answer), into))
}

// post switches a fault and returns the sentence of the answer.
func (s *site) post(kind, body string) (status int, said string) {
	s.t.Helper()
	status, answer, _ := s.do("POST", "/api/faults/"+kind, body, "Content-Type", "application/json")
	var a struct{ Done, Error string }
	require.NoError(s.t, json.Unmarshal([]byte(answer), &a), answer)
	require.Equal(s.t, status == http.StatusOK, a.Error == "", answer)
	return status, a.Done + a.Error
}

func TestHTTPShowsTheState(t *testing.T) {
	t.Parallel()
	c := start(t, danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Hour}))
	s := startSite(t, c.broker)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "worker", keyShared)
	p.sendKey("k", "m000")
	p.send("m001")
	r.ack(r.expect("m000", "m001"))
	r = c.consume(orders, "s", "worker", keyShared)
	r.nack(r.expect("m000"), 0, "bad")
	c.waitFor(func() bool {
		st, _ := c.broker.Subscription(orders, "s")
		return st.Blocked
	})

	var topics []map[string]any
	s.get("/api/topics", &topics)
	consumers := topics[0]["subscriptions"].([]any)[0].(map[string]any)["consumers"].([]any)[0].(map[string]any)
	require.Regexp(t, `^127\.0\.0\.1:\d+$`, consumers["address"])
	delete(consumers, "address")
	want := []map[string]any{{
		"name": orders, "delivery": "Reliable", "published": 2.0, "kept": 2.0, "producers": []any{"p"},
		"subscriptions": []any{map[string]any{
			"name": "s", "type": "KeyShared", "backlog": 1.0, "unacked": 1.0, "window": 10.0, "delivered": 3.0, "redelivered": 1.0,
			"acked": 1.0, "blocked": true, "blocked_keys": []any{"k"},
			"consumers": []any{map[string]any{"name": "worker", "connected": true, "receiving": true, "healthy": true}},
		}},
	}}
	require.Empty(t, cmp.Diff(want, topics))

	var one map[string]any
	s.get("/api/topics"+orders, &one)
	require.Equal(t, orders, one["name"])
	var all struct {
		URL     string
		Stopped bool
		Topics  []any
		Faults  []any
		Memory  struct{ Used, Limit int64 }
	}
	s.get("/api/state", &all)
	require.Equal(t, c.broker.URL(), all.URL)
	require.Len(t, all.Topics, 1)
	require.Positive(t, all.Memory.Used)
	require.Equal(t, int64(1<<30), all.Memory.Limit)
	status, answer, _ := s.do("GET", "/api/topics/default/none", "")
	require.Equal(t, http.StatusNotFound, status)
	require.JSONEq(t, `{"error":"there is no topic /default/none"}`, answer)
}

func TestHTTPShowsTheTraps(t *testing.T) {
	t.Parallel()
	type trap struct{ Name, Summary string }
	var all []trap
	for _, info := range danubetest.Traps() {
		all = append(all, trap{info.Name, info.Summary})
	}
	byName := func(name string) bool { return name == "policy" || name == "block" }
	for _, tt := range []struct {
		opts []danubetest.Option
		on   func(name string) bool
	}{
		{nil, func(string) bool { return false }},
		{[]danubetest.Option{danubetest.Trap("policy")}, byName}, // with what it needs
		{[]danubetest.Option{danubetest.Imitate("v0.15")}, func(name string) bool { return name != "metadata-limit" }},
	} {
		want := []trap{}
		for _, info := range all {
			if tt.on(info.Name) {
				want = append(want, info)
			}
		}
		var got struct{ Traps []trap }
		startSite(t, danubetest.Start(t, tt.opts...)).get("/api/state", &got)
		require.Equal(t, want, got.Traps)
	}
}

func TestHTTPShowsTheLastMessages(t *testing.T) {
	t.Parallel()
	c := start(t)
	s := startSite(t, c.broker)
	p := c.producer(orders, "p", reliable)
	m := p.message(`{"a":1}`)
	m.Attributes = map[string]string{"<b>": "1"}
	p.publish(m)
	p.sendKey("", "text")
	p.send("\xff")
	var got []map[string]any
	s.get("/api/topics"+orders+"/messages?limit=2", &got)
	require.Len(t, got, 2)
	require.Equal(t, 2.0, got[0]["offset"])
	require.NotContains(t, got[0], "key")
	require.Equal(t, "hex", got[0]["payload"].(map[string]any)["format"])
	require.Equal(t, "", got[1]["key"], "an empty key is a key")
	s.get("/api/topics"+orders+"/messages", &got)
	require.Len(t, got, 3)
	require.Equal(t, map[string]any{"format": "json", "text": "{\n  \"a\": 1\n}"}, got[2]["payload"])
	require.Equal(t, map[string]any{"<b>": "1"}, got[2]["attributes"])

	for path, want := range map[string]string{
		orders + "/messages?limit=0":      `limit "0" is not a number from 1 to 200`,
		orders + "/messages?limit=x":      `limit "x" is not a number`,
		"/default/none/messages?limit=20": "there is no topic /default/none",
	} {
		status, answer, _ := s.do("GET", "/api/topics"+path, "")
		require.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, status)
		var e struct{ Error string }
		require.NoError(t, json.Unmarshal([]byte(answer), &e))
		require.Contains(t, e.Error, want)
	}
}

func TestHTTPSwitchesFaults(t *testing.T) {
	t.Parallel()
	c := start(t)
	s := startSite(t, c.broker)
	p := c.producer(orders, "p", reliable)
	r := c.consume(orders, "s", "c", exclusive)
	tests := []struct{ kind, body, said, fault string }{
		{"refuse", `{"method":"Nack","code":"internal","count":3}`, "the next 3 calls of Nack end with Internal", "refuse"},
		{"delay", `{"method":"Nack","delay":"2s","count":-1}`, "calls of Nack wait 2s", "delay"},
		{"delay", `{"method":"Nack","count":0}`, "Nack is not delayed any more", ""},
		{"lose-acks", `{"topic":"/default/orders","subscription":"s","count":2}`, "acknowledgements of s on /default/orders are lost", "lose-acks"},
		{"duplicate", `{"topic":"/default/orders"}`, "the next 1 deliveries of /default/orders come twice", "duplicate"},
		{"cut-off", `{"client":"somebody"}`, "somebody is cut off, 0 connections closed", "cut-off"},
		{"let-in", `{"client":"somebody"}`, "somebody is let in", ""},
		{"close-health", `{"topic":"/default/orders","subscription":"s","consumer":"c"}`, "HealthCheck of consumer c on /default/orders answers CLOSE", "close-health"},
		{"stop-after", `{"count":7}`, "the broker stops after 7 publishes", "stop-after"},
		{"stop-after", `{"count":0}`, "the broker goes on", ""},
		{"clear", ``, "every fault is switched off", ""},
	}
	for _, tt := range tests {
		status, said := s.post(tt.kind, tt.body)
		require.Equal(t, http.StatusOK, status, said)
		require.Equal(t, tt.said, said)
		var kinds []string
		for _, f := range c.broker.Faults() {
			kinds = append(kinds, f.Kind)
		}
		if tt.fault == "" {
			require.NotContains(t, kinds, tt.kind)
			continue
		}
		require.Contains(t, kinds, tt.fault)
	}
	require.Empty(t, c.broker.Faults())

	p.send("m000")
	r.expect("m000")
	for _, act := range []struct{ kind, body string }{
		{"redeliver", `{"topic":"/default/orders","subscription":"s"}`},
		{"forget-producer", `{"topic":"/default/orders","producer":"p"}`},
		{"drop-streams", `{}`},
		{"forget-consumer", `{"topic":"/default/orders","subscription":"s","consumer":"c"}`},
	} {
		status, said := s.post(act.kind, act.body)
		require.Equal(t, http.StatusOK, status, said)
	}
	<-r.ended
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Consumer, r.id))
	require.Equal(t, danubepb.HealthCheckResponse_CLOSE, c.health(danubepb.HealthCheckRequest_Producer, p.id))
	_, said := s.post("restart", `{}`)
	require.Equal(t, "restarted, messages and positions kept", said)
	require.Len(t, c.broker.Topics(), 1)
	_, said = s.post("restart", `{"keep":false}`)
	require.Equal(t, "restarted, everything forgotten", said)
	require.Empty(t, c.broker.Topics())
}

func TestHTTPRefusesFaultsThatAreWrong(t *testing.T) {
	t.Parallel()
	c := start(t)
	s := startSite(t, c.broker)
	c.producer(orders, "p", reliable)
	tests := []struct {
		kind, body string
		status     int
		said       string
	}{
		{"nonsense", `{}`, 404, `there is no fault "nonsense"; there are clear, close-health, cut-off, `},
		{"refuse", `{"method":"sendMessage"}`, 400, `there is no method "sendMessage"; there are Ack, `},
		{"refuse", `{"method":"Ack","code":"OK"}`, 400, `code "OK" is not a gRPC code that fails a call`},
		{"refuse", `{"method":"Ack","code":"\""}`, 400, `is not a gRPC code`},
		{"refuse", `{"method":"Ack","count":-1}`, 400, "count -1 is not within 0 to 1000000"},
		{"delay", `{"method":"Ack"}`, 400, `delay "" is not a positive time such as 200ms`},
		{"delay", `{"method":"Ack","delay":"1s","count":1000001}`, 400, "count 1000001 is not within -1 to 1000000"},
		{"lose-acks", `{"topic":"/default/orders","subscription":"none"}`, 404, "there is no topic /default/orders, subscription none"},
		{"duplicate", `{}`, 400, "topic is missing"},
		{"cut-off", `{}`, 400, "client is missing"},
		{"let-in", `{"client":"x"}`, 404, `client "x" is not cut off`},
		{"clear", `[]`, 400, "the body is not as expected"},
		{"clear", `{"cuont":1}`, 400, `unknown field "cuont"`},
		{"clear", `{"topic":"` + strings.Repeat("x", 70_000) + `"}`, 400, "too large"},
	}
	for _, tt := range tests {
		status, said := s.post(tt.kind, tt.body)
		require.Equal(t, tt.status, status, said)
		require.Contains(t, said, tt.said)
	}
	require.Empty(t, c.broker.Faults())
}

func TestHTTPRefusesForeignPages(t *testing.T) {
	t.Parallel()
	c := start(t)
	s := startSite(t, c.broker)
	c.producer(orders, "p", reliable)
	host := strings.TrimPrefix(s.url, "http://")
	port := host[strings.LastIndex(host, ":"):]
	forget := func(headers ...string) int {
		status, _, _ := s.do("POST", "/api/faults/restart", `{"keep":false}`, headers...)
		return status
	}
	const kind = "Content-Type"
	require.Equal(t, 403, forget(kind, "application/json", "Origin", "http://evil.example"))
	require.Equal(t, 403, forget(kind, "application/json", "Sec-Fetch-Site", "cross-site"))
	require.Equal(t, 403, forget(kind, "application/json", "Origin", "http://127.0.0.1:1"))
	require.Equal(t, 415, forget(kind, "text/plain"))
	require.Equal(t, 415, forget(kind, "application/x-www-form-urlencoded", "Origin", s.url))
	require.Equal(t, 415, forget())
	require.Equal(t, 403, forget(kind, "application/json", "Host", "rebound.example"+port))
	status, answer, _ := s.do("GET", "/api/state", "", "Host", "rebound.example"+port)
	require.Equal(t, 403, status)
	require.Contains(t, answer, "is not this machine")
	require.Equal(t, []string{orders}, c.broker.Topics())

	for _, name := range []string{"localhost", "LOCALHOST" + port, "[::1]" + port, "127.0.0.1"} {
		status, _, _ := s.do("GET", "/api/state", "", "Host", name)
		require.Equal(t, 200, status, name)
	}
	require.Equal(t, 200, forget(kind, "application/json; charset=utf-8", "Origin", s.url))
	require.Empty(t, c.broker.Topics())
}

// What the list of faults says does end each of them.
func TestHTTPTellsHowToEndFaults(t *testing.T) {
	t.Parallel()
	c := start(t)
	s := startSite(t, c.broker)
	p := c.producer(orders, "p", reliable)
	c.subscribe(orders, "s with spaces", "c", exclusive)
	c.broker.Refuse("Ack", codes.Internal, 3)
	c.broker.Delay("Ack", time.Second, danubetest.Always)
	c.broker.CutOff("nobody")
	c.broker.Duplicate(orders, 2)
	c.broker.LoseAcks(orders, "s with spaces", 2)
	c.broker.StopAfter(9)
	for len(c.broker.Faults()) > 0 {
		var faults []struct {
			Kind string
			End  string
			Body json.RawMessage `json:"end_body"`
		}
		s.get("/api/faults", &faults)
		status, said := s.post(faults[0].End, string(faults[0].Body))
		require.Equal(t, http.StatusOK, status, said)
		require.Len(t, c.broker.Faults(), len(faults)-1, faults[0].Kind)
	}
	c.broker.StopAfter(1)
	_, err := c.SendMessage(c.ctx, p.message("last"))
	require.Error(t, err)
	status, said := s.post("restart", `{"keep":true}`)
	require.Equal(t, http.StatusOK, status, said)
	require.False(t, c.broker.Stopped())
}

// FuzzHTTPFault: no request brings the broker down or is answered with anything but JSON.
func FuzzHTTPFault(f *testing.F) {
	f.Add("refuse", `{"method":"Ack","code":"INTERNAL","count":1}`)
	f.Add("delay", `{"method":"Ack","delay":"1h"}`)
	f.Add("lose-acks", `{"topic":"/default/x","subscription":"s","count":-1}`)
	f.Add("x", "\x00")
	b, err := danubetest.New()
	require.NoError(f, err)
	f.Cleanup(b.Close)
	h := b.StatusHandler()
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest("POST", "/api/faults/"+url.PathEscape(kind), strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 300 && w.Code < 400 { // a path that the router cleans
			return
		}
		require.Less(t, w.Code, 500)
		require.True(t, json.Valid(w.Body.Bytes()), w.Body.String())
	})
}

// The page is one file that asks nobody else for anything, and its policy allows its own script and no other.
func TestStatusPageIsSelfContained(t *testing.T) {
	t.Parallel()
	c := start(t)
	s := startSite(t, c.broker)
	status, page, h := s.do("GET", "/", "")
	require.Equal(t, 200, status)
	require.Equal(t, "text/html; charset=utf-8", h.Get("Content-Type"))
	require.Regexp(t, `script-src 'sha256-[A-Za-z0-9+/=]{44}'$`, h.Get("Content-Security-Policy"))
	require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	require.Empty(t, regexp.MustCompile(`(?i)(src|href)\s*=\s*"(https?:)?//|@import|url\(`).FindString(page))
	require.NotContains(t, page, "innerHTML")
	require.Equal(t, 1, strings.Count(page, "<script"))

	status, answer, _ := s.do("GET", "/favicon.ico", "")
	require.Equal(t, 404, status)
	require.Contains(t, answer, "nothing answers GET /favicon.ico")
}

func TestServeStatusTwice(t *testing.T) {
	t.Parallel()
	b, err := danubetest.New()
	require.NoError(t, err)
	require.Empty(t, b.StatusURL())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.ServeStatus(l))
	require.ErrorContains(t, b.ServeStatus(l), "does so already")
	idle, err := net.Dial("tcp", l.Addr().String()) // a browser's spare connection must not hold up the end
	require.NoError(t, err)
	defer idle.Close()
	begin := time.Now()
	b.Close()
	require.Less(t, time.Since(begin), 2*time.Second)
	require.ErrorContains(t, b.ServeStatus(l), "closed")
	_, err = net.Dial("tcp", l.Addr().String())
	require.Error(t, err)
}
