package danubetest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// gatedSite is the HTTP port of a broker with tokens, on which a topic holds a message that must not be seen.
func gatedSite(t *testing.T) (*site, danubetest.Auth, *lines) {
	t.Helper()
	log := &lines{}
	all := []danubetest.Permission{
		danubetest.Lookup, danubetest.Produce, danubetest.Consume, danubetest.ManageNamespace, danubetest.ManageTopic, danubetest.ManageSchema,
		danubetest.ManageBroker,
	}
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}, Bindings: []danubetest.Binding{
		{Principal: "operator", Permissions: []danubetest.Permission{danubetest.ManageCluster}, Cluster: true},
		{Principal: "app", Permissions: all, Cluster: true},
		{Principal: "narrow", Permissions: []danubetest.Permission{danubetest.ManageCluster}, Topic: orders},
	}}
	b := danubetest.Start(t, danubetest.Secure(auth), logTo(log))
	secureClient(t, b, auth, "root").producer(orders, "p", reliable).send("the payload")
	return startSite(t, b), auth, log
}

func TestSecureHTTPDemandsAToken(t *testing.T) {
	t.Parallel()
	s, auth, log := gatedSite(t)
	bearerOf := func(name string) string { return "Bearer " + auth.Token(name, time.Hour) }
	forged := danubetest.Auth{Secret: []byte("another")}.Token("root", time.Hour)
	for name, tt := range map[string]struct {
		credentials string
		status      int
		said        string
	}{
		"none":           {"", 401, "Authentication credentials are missing"},
		"other scheme":   {"Basic cm9vdDpyb290", 401, "Authentication credentials are missing"},
		"not a token":    {"Bearer root", 401, "Invalid token: it is not a JSON web token"},
		"other secret":   {"Bearer " + forged, 401, "Invalid token: its signature is wrong"},
		"expired":        {"Bearer " + auth.Token("root", -2*time.Minute), 401, "Invalid token: it has expired"},
		"nobody":         {bearerOf("nobody"), 403, "no binding grants ManageCluster on Cluster for service_account:nobody"},
		"other rights":   {bearerOf("app"), 403, "no binding grants ManageCluster on Cluster for service_account:app"},
		"narrower right": {bearerOf("narrow"), 403, "no binding grants ManageCluster on Cluster for service_account:narrow"},
		"the right":      {bearerOf("operator"), 200, ""},
		"super admin":    {bearerOf("root"), 200, ""},
	} {
		headers := []string{"Content-Type", "application/json"}
		if tt.credentials != "" {
			headers = append(headers, "Authorization", tt.credentials)
		}
		for _, request := range []string{
			"GET /api/state", "GET /api/topics", "GET /api/topics" + orders, "GET /api/topics" + orders + "/messages", "GET /api/faults",
			"POST /api/faults/drop-streams",
		} {
			method, path, _ := strings.Cut(request, " ")
			status, answer, h := s.do(method, path, "", headers...)
			require.Equal(t, tt.status, status, "%s: %s: %s", name, request, answer)
			require.Contains(t, answer, tt.said, "%s: %s", name, request)
			require.Equal(t, status == 401, h.Get("WWW-Authenticate") == "Bearer")
			if status != 200 {
				require.NotContains(t, answer, "orders")
			}
		}
	}
	require.Equal(t, 1, log.count("call without a token"), "each mistake is logged once")
}

// What is refused has no effect, and what is let in has.
func TestSecureHTTPFaults(t *testing.T) {
	t.Parallel()
	s, auth, _ := gatedSite(t)
	refuse := func(name string) int {
		status, _, _ := s.do("POST", "/api/faults/refuse", `{"method":"Ack"}`,
			"Content-Type", "application/json", "Authorization", "Bearer "+auth.Token(name, time.Hour))
		return status
	}
	faults := func() string {
		_, answer, _ := s.do("GET", "/api/faults", "", "Authorization", "Bearer "+auth.Token("root", time.Hour))
		return answer
	}
	require.Equal(t, 403, refuse("app"))
	require.JSONEq(t, `[]`, faults())
	require.Equal(t, 200, refuse("operator"))
	require.Contains(t, faults(), `"kind":"refuse"`)
}

// The page asks for the token, so that it is open itself; it tells nothing about the broker. So are the gauges, as on a real broker.
func TestSecureHTTPLeavesThePageOpen(t *testing.T) {
	t.Parallel()
	s, _, _ := gatedSite(t)
	status, page, _ := s.do("GET", "/", "")
	require.Equal(t, 200, status)
	require.Contains(t, page, `<input id="token"`)
	require.NotContains(t, page, "orders")
	status, _, h := s.do("GET", "/metrics", "")
	require.Equal(t, 200, status)
	require.Contains(t, h.Get("Content-Type"), "text/plain")
}

// A broker that no secret was given to answers nobody, with a token or without.
func TestSecureHTTPWithoutASecret(t *testing.T) {
	t.Parallel()
	s := startSite(t, danubetest.Start(t, danubetest.Secure(danubetest.Auth{SuperAdmins: []string{"root"}})))
	status, answer, _ := s.do("GET", "/api/state", "", "Authorization", "Bearer "+danubetest.Auth{}.Token("root", time.Hour))
	require.Equal(t, 403, status)
	require.Contains(t, answer, "JWT authentication is not configured")
}

func TestSecureHTTPWithAdminTLS(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}, AdminTLS: true}
	b := danubetest.Start(t, danubetest.Secure(auth))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.ServeStatus(l))
	require.Equal(t, "https://"+l.Addr().String(), b.StatusURL())
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(b.RootCA()))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	for url, want := range map[string]int{b.StatusURL(): 200, "http://" + l.Addr().String(): 400} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/state", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+auth.Token("root", time.Hour))
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
}
