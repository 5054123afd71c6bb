package main

import (
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
)

func TestValidateReportsEveryProblem(t *testing.T) {
	t.Parallel()
	err := config{
		URL: "localhost:8080/events", Method: "GET", Body: bodyArray, ContentType: "a\nb", Token: "with newline\n", Timeout: -1, RetryAfterMax: -time.Second,
		SuccessCodes: []string{"ok"}, RetryCodes: []string{"99"}, RejectCodes: []string{"6xx"}, AttributeHeaders: true,
		Headers: map[string]string{
			"": "x", "na me": "x", "é": "x", "content-type": "x", "authorization": "x", "idempotency-key": "x", "danube-topic": "x", "host": "x",
			"X-Break": "a\r\nb", "X-Good": "a, b;\tc",
		},
	}.Validate()
	for _, want := range []string{
		`url: "localhost:8080/events" is not absolute`, `method: "GET"`, `attribute_headers: `, `content_type: `, `token: `, `timeout: -1ns`,
		`retry_after_max: -1s`, `success_codes: "ok"`, `retry_codes: "99"`, `reject_codes: "6xx"`, `headers: "" is`, `headers: "na me"`, `headers: "é"`,
		`headers: Content-Type`, `headers: Authorization`, `headers: Idempotency-Key`, `headers: Danube-Topic`, `headers: Host`, `headers: the value of X-Break`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "with newline", "a token is never shown")
	require.NotContains(t, err.Error(), "X-Good")
}

func TestValidateURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://127.0.0.1:8080/events": "", "https://example.com": "", "HTTPS://[::1]/a?b=c": "",
		"": "not absolute", "/events": "not absolute", "ftp://host/": "not absolute", "http://": "not absolute", "http://:80": "not absolute",
		"http://user:s3cret@host/": "holds a user name", "http://ho st/": "is not a URL", "ftp://user:s3cret@host": "not absolute", "http://u:s3cret@h:x/": "is not a URL",
	} {
		err := settings("").withURL(text).Validate()
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func (c config) withURL(text string) config {
	c.URL = text
	return c
}

func TestEmptySuccessCodesAreRefused(t *testing.T) {
	t.Parallel()
	c := settings("http://receiver.test")
	c.SuccessCodes = nil
	require.ErrorContains(t, c.Validate(), "success_codes: is empty")
}

func TestCommonHeader(t *testing.T) {
	t.Parallel()
	c := settings("http://receiver.test")
	c.Headers = map[string]string{"user-agent": "mine", "x-api-key": "k"}
	c.ContentType = "text/plain"
	c.Token = connect.Secret("t")
	h := commonHeader(c)
	require.Equal(t, "mine", h.Get("User-Agent"))
	require.Equal(t, "k", h.Get("X-Api-Key"))
	require.Equal(t, "text/plain", h.Get("Content-Type"))
	require.Equal(t, "Bearer t", h.Get("Authorization"))
}
