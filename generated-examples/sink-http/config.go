package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// The values of the option body.
const (
	bodySingle = "single"
	bodyArray  = "array"
	bodyNDJSON = "ndjson"
)

// config is the [http] table of connector.toml.
type config struct {
	URL              string            `toml:"url" env:"HTTP_URL" example:"http://127.0.0.1:8080/events" doc:"Endpoint that receives the records; a route's to, a path, replaces its path."`
	Method           string            `toml:"method" env:"HTTP_METHOD" default:"POST" doc:"Request method: POST, PUT or PATCH."`
	Body             string            `toml:"body" env:"HTTP_BODY" default:"single" doc:"What a request carries: single (one record as it is), array (a batch as one JSON array) or ndjson (a batch, one JSON value per line)."`
	ContentType      string            `toml:"content_type" env:"HTTP_CONTENT_TYPE" doc:"Content-Type of the requests; empty means application/x-ndjson for ndjson, else application/json."`
	Headers          map[string]string `toml:"headers" env:"HTTP_HEADERS" doc:"Further headers of every request."`
	Token            connect.Secret    `toml:"token" env:"HTTP_TOKEN" doc:"Bearer token; empty sends none."`
	Timeout          time.Duration     `toml:"timeout" env:"HTTP_TIMEOUT" default:"10s" doc:"Limit for one request, from connecting to the end of the reply."`
	SuccessCodes     []string          `toml:"success_codes" env:"HTTP_SUCCESS_CODES" default:"2xx" doc:"Status codes that mean written; 2xx stands for 200 to 299."`
	RetryCodes       []string          `toml:"retry_codes" env:"HTTP_RETRY_CODES" doc:"Status codes to retry besides those of the error table."`
	RejectCodes      []string          `toml:"reject_codes" env:"HTTP_REJECT_CODES" doc:"Status codes that send a record to the dead letters besides those of the error table."`
	RetryAfterMax    time.Duration     `toml:"retry_after_max" env:"HTTP_RETRY_AFTER_MAX" default:"1m" doc:"Longest pause that a Retry-After header of the endpoint may ask for; 0s ignores the header."`
	AttributeHeaders bool              `toml:"attribute_headers" env:"HTTP_ATTRIBUTE_HEADERS" default:"false" doc:"Send each attribute of a record as a header Danube-Attribute-NAME; only with body single."`
}

// Validate reports every problem, not only the first.
func (c config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if err := checkURL(c.URL); err != nil {
		problem("url: %w", err)
	}
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, c.Method) {
		problem("method: %q is not supported; use POST, PUT or PATCH", c.Method)
	}
	if !slices.Contains([]string{bodySingle, bodyArray, bodyNDJSON}, c.Body) {
		problem("body: %q is not known; use single, array or ndjson", c.Body)
	}
	if c.AttributeHeaders && c.Body != bodySingle {
		problem("attribute_headers: not possible with body %q, whose requests carry many records; set body to single", c.Body)
	}
	if c.Timeout <= 0 {
		problem("timeout: %v is not positive; use for example 10s", c.Timeout)
	}
	if c.RetryAfterMax < 0 {
		problem("retry_after_max: %v is negative; use 0s to ignore Retry-After", c.RetryAfterMax)
	}
	if !validValue(c.ContentType) {
		problem("content_type: %q cannot stand in a header; use printable ASCII", c.ContentType)
	}
	if !validValue(string(c.Token)) {
		problem("token: holds a character that cannot stand in a header; look for a line break at its end")
	}
	if _, err := parseCodes(c); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(append(problems, checkHeaders(c)...)...)
}

// checkURL keeps credentials out of the URL because it appears in logs.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is not a URL; use for example http://127.0.0.1:8080/events")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return fmt.Errorf("%q is not absolute; begin it with http:// or https:// and a host", u.Redacted())
	case u.User != nil:
		return errors.New("holds a user name; put credentials into token or headers")
	}
	return nil
}

// checkHeaders refuses what the connector sets itself: a second value would contradict the first.
func checkHeaders(c config) []error {
	var problems []error
	for name, value := range c.Headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case name == "" || name != headerName(name):
			problems = append(problems, fmt.Errorf("headers: %q is not a header name", name))
		case canonical == "Content-Type":
			problems = append(problems, errors.New("headers: Content-Type has its own option; set content_type"))
		case canonical == "Authorization" && c.Token != "":
			problems = append(problems, errors.New("headers: Authorization is also set by token; keep one of them"))
		case slices.Contains(ownHeaders, canonical) || strings.HasPrefix(canonical, "Danube-"):
			problems = append(problems, fmt.Errorf("headers: %s is set by the connector; remove it", canonical))
		case !validValue(value):
			problems = append(problems, fmt.Errorf("headers: the value of %s cannot stand in a header; use printable ASCII", canonical))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

// ownHeaders are set by the connector or by the HTTP protocol itself.
var ownHeaders = []string{"Idempotency-Key", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade"}
