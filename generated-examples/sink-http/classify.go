package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

// codes holds the status codes that the configuration gives a meaning of its own.
type codes struct {
	success, retry, reject map[int]bool
}

// classify turns a reply into what the runtime does next. What the configuration says wins. Otherwise a code that blames the
// record rejects it, a code that only a new configuration mends stops the connector, and everything else is retried: also 404,
// which a receiver gives while it is being deployed, because stopping the connector would not bring it back sooner.
func (c codes) classify(status int, reply string) error {
	if c.success[status] {
		return nil
	}
	err := fmt.Errorf("endpoint replied %d %s%s", status, http.StatusText(status), reply)
	switch {
	case c.retry[status]:
		return err
	case c.reject[status]:
		return connect.Reject(err)
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return connect.Fatal(fmt.Errorf("%w; check token and headers", err))
	case status/100 == 2:
		return connect.Fatal(fmt.Errorf("%w; success_codes does not name it", err))
	case status/100 == 3:
		return connect.Fatal(fmt.Errorf("%w; redirects are not followed: set url to the final address", err))
	case status == http.StatusMethodNotAllowed, status == http.StatusGone:
		return connect.Fatal(fmt.Errorf("%w; check url and method", err))
	case status == http.StatusNotFound, status == http.StatusRequestTimeout, status == http.StatusMisdirectedRequest,
		status == http.StatusLocked, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return err
	case status/100 == 4:
		return connect.Reject(err)
	default:
		return err
	}
}

// parseCodes reads the options success_codes, retry_codes and reject_codes.
func parseCodes(c config) (codes, error) {
	success, err1 := codeSet("success_codes", c.SuccessCodes)
	retry, err2 := codeSet("retry_codes", c.RetryCodes)
	reject, err3 := codeSet("reject_codes", c.RejectCodes)
	if len(success) == 0 && err1 == nil {
		err1 = errors.New("success_codes: is empty; use for example 2xx")
	}
	return codes{success: success, retry: retry, reject: reject}, errors.Join(err1, err2, err3)
}

// codeSet reads codes such as 409 and classes such as 2xx.
func codeSet(option string, texts []string) (map[int]bool, error) {
	set := make(map[int]bool)
	for _, text := range texts {
		first, last := text, text
		if class, ok := strings.CutSuffix(strings.ToLower(text), "xx"); ok {
			first, last = class+"00", class+"99"
		}
		low, err1 := strconv.Atoi(first)
		high, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || low < 200 || high > 599 {
			return nil, fmt.Errorf("%s: %q is not a status code; use 200 to 599 or a class such as 2xx", option, text)
		}
		for code := low; code <= high; code++ {
			set[code] = true
		}
	}
	return set, nil
}
