package danubetest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	_ "embed" // the status page
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

//go:embed web/status.html
var statusPage []byte

// Limits of the HTTP port.
const (
	webTimeout   = 30 * time.Second // for one request
	webHeader    = 16 << 10         // bytes
	webBody      = 64 << 10         // bytes
	previewLimit = 4 << 10          // bytes of a payload's preview
	maxListed    = 200              // messages in one answer
)

// ServeStatus starts answering HTTP on l: a status page at /, and beneath /api the state as JSON and the switches of the faults. It
// returns at once; [Broker.Close] closes l. It fails when the broker does so already or is closed; then l is left alone.
//
// Without [Secure] nothing asks who is there, so l should listen on a loopback address. There, requests under a foreign host name are
// refused, and everywhere requests that a web page of another site makes, so that no page in the user's browser reaches the broker. With
// [Secure] everything but the bare page and /metrics takes a token, which the page asks for.
func (b *Broker) ServeStatus(l net.Listener) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isClosed {
		return errors.New("serve status: broker is closed")
	}
	if b.web != nil {
		return errors.New("serve status: broker does so already")
	}
	b.statusURL, _ = urlOf(l.Addr())
	b.statusURL = withScheme(b.statusURL, b.secured(true))
	if b.secured(true) {
		l = tls.NewListener(l, b.settings.gate.tlsConfig())
	}
	b.web = &http.Server{
		Handler:           guard(b.StatusHandler(), isLoopback(l.Addr())),
		ReadHeaderTimeout: webTimeout,
		ReadTimeout:       webTimeout,
		WriteTimeout:      webTimeout,
		IdleTimeout:       2 * webTimeout,
		MaxHeaderBytes:    webHeader,
		ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
	b.serving.Go(func() {
		if err := b.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			b.log.Error("listener failed", "address", l.Addr().String(), "error", err)
		}
	})
	return nil
}

// closeWeb ends the HTTP port.
func closeWeb(s *http.Server) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close() // requests that take longer are cut off
	}
}

// StatusURL is where the status page is; empty before [Broker.ServeStatus].
func (b *Broker) StatusURL() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.statusURL
}

// StatusHandler is what ServeStatus serves, for those who serve it themselves; it does not check host names.
func (b *Broker) StatusHandler() http.Handler {
	open := http.NewServeMux() // to everybody, like the metrics of a real broker
	open.HandleFunc("GET /{$}", servePage)
	open.HandleFunc("GET /metrics", b.serveMetrics)
	mux := http.NewServeMux()
	open.Handle("/", b.demandToken(mux))
	mux.HandleFunc("GET /api/state", func(w http.ResponseWriter, _ *http.Request) { answer(w, b.state()) })
	mux.HandleFunc("GET /api/topics", func(w http.ResponseWriter, _ *http.Request) { answer(w, b.state().Topics) })
	mux.HandleFunc("GET /api/topics/{namespace}/{name}", b.serveTopic)
	mux.HandleFunc("GET /api/topics/{namespace}/{name}/messages", b.serveMessages)
	mux.HandleFunc("GET /api/faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, b.state().Faults) })
	mux.HandleFunc("POST /api/faults/{kind}", b.serveFault)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, notThere("nothing answers %s %s; see / for the status page", r.Method, r.URL.Path))
	})
	crossSite := http.NewCrossOriginProtection()
	crossSite.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, &requestError{http.StatusForbidden, "a web page of another site may not change this broker"})
	}))
	return crossSite.Handler(secured(open))
}

// pagePolicy lets the page run its own script and talk to its own broker, and nothing else.
var pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; script-src '" + scriptHash(string(statusPage)) + "'"

// scriptHash is the hash of the only script of a page, as its policy names it.
func scriptHash(page string) string {
	_, script, _ := strings.Cut(page, "<script>")
	script, _, _ = strings.Cut(script, "</script>")
	sum := sha256.Sum256([]byte(script))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// secured sets the headers that keep browsers from doing more than they are asked to.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// guard refuses host names that a foreign site may have pointed at this machine, if only this machine is meant to ask.
func guard(h http.Handler, local bool) http.Handler {
	if !local {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalHost(r.Host) {
			refuse(w, &requestError{http.StatusForbidden, fmt.Sprintf("host %q is not this machine; use localhost or its address", r.Host)})
			return
		}
		h.ServeHTTP(w, r)
	})
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// isLocalHost says whether a host is this machine's own name, or an address, which no foreign site can have taken.
func isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(statusPage) // who left does not miss it
}

func (b *Broker) serveTopic(w http.ResponseWriter, r *http.Request) {
	name := topicOf(r)
	t := b.topic(name)
	if t == nil {
		refuse(w, notThere("there is no topic %s", name))
		return
	}
	answer(w, t.state())
}

func (b *Broker) serveMessages(w http.ResponseWriter, r *http.Request) {
	n := 20
	if raw := r.URL.Query().Get("limit"); raw != "" {
		var err error
		if n, err = strconv.Atoi(raw); err != nil || n < 1 || n > maxListed {
			refuse(w, badRequest("limit %q is not a number from 1 to %d", raw, maxListed))
			return
		}
	}
	messages, err := b.lastMessages(topicOf(r), n, previewLimit)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, messages)
}

func topicOf(r *http.Request) string {
	return "/" + r.PathValue("namespace") + "/" + r.PathValue("name")
}

// A requestError is what an HTTP request is refused with.
type requestError struct {
	status int
	text   string
}

func (e *requestError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return &requestError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func notThere(format string, args ...any) error {
	return &requestError{http.StatusNotFound, fmt.Sprintf(format, args...)}
}

func answer(w http.ResponseWriter, v any) { writeJSON(w, http.StatusOK, v) }

func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if re, ok := errors.AsType[*requestError](err); ok {
		code = re.status
	}
	writeJSON(w, code, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who left does not miss it
}
