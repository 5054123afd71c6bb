package danube

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

// An address is where something listens and how it is spoken to.
type address struct {
	hostPort string
	secure   bool
}

// defaultPort is the broker's client port where a URL names none.
const defaultPort = "6650"

// parseURL takes a URL such as http://localhost:6650. What may stand after the port is one slash.
func parseURL(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.Fragment != "" {
		return address{}, fmt.Errorf("broker URL %q is not of the form http://host:port, for example http://localhost:6650", redacted(raw, u))
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return address{}, fmt.Errorf("port %s of broker URL %q is not within 1 to 65535", port, raw)
	}
	return address{net.JoinHostPort(strings.ToLower(u.Hostname()), port), u.Scheme == "https"}, nil
}

// redacted hides a password that somebody put into a URL.
func redacted(raw string, u *url.URL) string {
	if u != nil && u.User != nil {
		return u.Redacted()
	}
	return raw
}

func (a address) host() string {
	host, _, _ := net.SplitHostPort(a.hostPort) // it was joined by parseURL
	return host
}

// advertised is where a lookup sends the client. An address that stands for all of the broker's own (0.0.0.0, which the broker advertises
// unless it is configured) is replaced by the host through which the client found it.
func (c *Client) advertised(raw string) (address, error) {
	a, err := parseURL(raw)
	if err != nil {
		return a, &localError{
			kind: ErrNotBroker, code: codes.Unknown, permanent: true, text: "the broker tells clients to go to an address that is none: " + err.Error(),
			mend: "set broker.advertised_listeners in its configuration",
		}
	}
	if c.service.secure && !a.secure {
		return a, &localError{
			kind: ErrNotBroker, code: codes.Unknown, permanent: true,
			text: fmt.Sprintf("the broker tells clients to go to %s, in plain text, and this one was told to use https", raw),
			mend: "set broker.advertised_listeners in its configuration to an address with https, or use http knowing that tokens and messages can be read",
		}
	}
	ip, err := netip.ParseAddr(a.host())
	if err != nil || !ip.IsUnspecified() {
		return a, nil
	}
	_, port, _ := net.SplitHostPort(a.hostPort) // it was joined by parseURL
	a.hostPort = net.JoinHostPort(c.service.host(), port)
	if _, told := c.told.LoadOrStore(raw, true); !told {
		c.log.Warn("the broker advertises an address that is good on its own machine only; set broker.advertised_listeners in its configuration",
			zap.String("advertised", raw), zap.String("used", a.hostPort))
	}
	return a, nil
}
