package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// send makes one request and judges the reply. A reply that is lost leaves the endpoint with a request that comes again under the
// same Idempotency-Key; that header is also what lets net/http repeat a request at once when a kept connection turns out closed.
func (s *sink) send(ctx context.Context, m message) error {
	target, err := s.target(m.to)
	if err != nil {
		return connect.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.Timeout, s.noReply)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, s.config.Method, "", bytes.NewReader(m.body))
	if err != nil {
		return connect.Fatal(fmt.Errorf("build request: %w", err))
	}
	req.URL, req.Header = target, m.header
	resp, err := s.client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		err = s.judge(resp)
	}
	if failure := (*url.Error)(nil); errors.As(err, &failure) {
		err = failure.Err // less the URL, whose query may hold a key
	}
	if err != nil {
		return fmt.Errorf("%s %s://%s%s: %w", s.config.Method, target.Scheme, target.Host, target.EscapedPath(), err)
	}
	return nil
}

// judge classifies a reply and notes when the next request may be sent.
func (s *sink) judge(resp *http.Response) error {
	err := s.codes.classify(resp.StatusCode, readReply(resp))
	if connect.ClassOf(err) == connect.ClassRetry {
		s.notBefore = time.Now().Add(min(retryAfter(resp.Header.Get("Retry-After")), s.config.RetryAfterMax))
	}
	return err
}

// target is the URL for records of one route: url, with its path replaced by the route's to.
func (s *sink) target(to string) (*url.URL, error) {
	if to == "" {
		return s.url, nil
	}
	ref, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, "/") || ref.Host != "" {
		return nil, fmt.Errorf("route to %q: is not a path; begin it with one slash", to)
	}
	return s.url.ResolveReference(ref), nil
}

// pause waits as long as the endpoint asked for with Retry-After.
func (s *sink) pause(ctx context.Context) error {
	timer := time.NewTimer(time.Until(s.notBefore))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait as Retry-After asked: %w", ctx.Err())
	}
}

// readReply reads a reply, so that its connection can be used again, and gives its beginning as the end of an error text.
func readReply(resp *http.Response) string {
	const drained, shown = 64 << 10, 200
	text, _ := io.ReadAll(io.LimitReader(resp.Body, drained)) // a reply cut short still has its status
	if location := resp.Header.Get("Location"); resp.StatusCode/100 == 3 && location != "" {
		text = []byte("location " + location)
	}
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(text[:min(len(text), shown)]))
	if clean = strings.Join(strings.Fields(clean), " "); clean == "" {
		return ""
	}
	return ": " + clean
}

// retryAfter reads the header's two forms, seconds and a date; anything else is no pause.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return time.Until(date)
	}
	return 0
}
