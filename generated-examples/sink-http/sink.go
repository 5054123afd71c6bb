package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// sink posts records to an HTTP endpoint, one request at a time, so that the endpoint sees them in order.
type sink struct {
	config    config
	url       *url.URL
	codes     codes
	header    http.Header // what every request carries
	noReply   error       // what ends a request that takes too long
	client    *http.Client
	transport *http.Transport
	notBefore time.Time // the endpoint asked for quiet until then
}

// open sends nothing: an endpoint that is down is met by Write, which the runtime retries.
func open(_ context.Context, c config) (connect.Sink, error) {
	endpoint, err := url.Parse(c.URL)
	if err != nil {
		return nil, connect.Fatal(fmt.Errorf("read url: %w", err))
	}
	codes, err := parseCodes(c)
	if err != nil {
		return nil, connect.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &sink{
		config:    c,
		url:       endpoint,
		codes:     codes,
		header:    commonHeader(c),
		noReply:   fmt.Errorf("no reply within %v", c.Timeout),
		transport: transport,
		client: &http.Client{
			Transport: transport,
			// A redirected POST becomes a GET without a body, and the token must not travel to another host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// commonHeader holds what is the same in every request.
func commonHeader(c config) http.Header {
	h := http.Header{"User-Agent": {"sink-http"}}
	for name, value := range c.Headers {
		h.Set(name, value)
	}
	switch {
	case c.ContentType != "":
		h.Set("Content-Type", c.ContentType)
	case c.Body == bodyNDJSON:
		h.Set("Content-Type", "application/x-ndjson")
	default:
		h.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		h.Set("Authorization", "Bearer "+string(c.Token))
	}
	return h
}

// Write sends the batch in order. A rejected record does not stop the following ones; any other failure does, and the record that
// failed is reported together with all that follow it, so that the retry begins where the endpoint stands.
func (s *sink) Write(ctx context.Context, batch []connect.Record) error {
	if err := s.pause(ctx); err != nil {
		return err
	}
	var failed connect.BatchError
	var messages []message
	if s.config.Body == bodySingle {
		messages = s.single(batch)
	} else {
		messages = s.joined(batch, &failed)
	}
	for n, m := range messages {
		err := s.send(ctx, m)
		switch class := connect.ClassOf(err); {
		case class == connect.ClassNone:
		case class == connect.ClassRejected && len(m.records) == 1:
			failed.Add(m.records[0], err)
		case class == connect.ClassRejected && len(m.records) == len(batch):
			return err // the runtime finds the bad record by writing halves
		default:
			for _, rest := range messages[n:] {
				for _, i := range rest.records {
					failed.Add(i, unsent(err))
				}
			}
			return failed.Err()
		}
	}
	return failed.Err()
}

// unsent is the error of a record that still has to be written. A request of many records that was rejected condemns none of them
// yet: they come again without those that are already known to be bad, and are halved then.
func unsent(err error) error {
	if connect.ClassOf(err) == connect.ClassRejected {
		return errors.New(err.Error())
	}
	return err
}

// Ping tells whether the endpoint's host, or the proxy before it, accepts connections. It sends no request, because only the
// receiver's author knows one that does nothing.
func (s *sink) Ping(ctx context.Context) error {
	host := s.url
	if proxy, err := s.transport.Proxy(&http.Request{URL: s.url}); err == nil && proxy != nil {
		host = proxy
	}
	port := host.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[host.Scheme]
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host.Hostname(), port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Close ends the kept connections.
func (s *sink) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
