package connect

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthAndReadinessTellTheTruth(t *testing.T) {
	t.Parallel()
	o := newOperations("c")
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		o.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		body, err := io.ReadAll(w.Result().Body)
		require.NoError(t, err)
		return w.Code, string(body)
	}
	code, body := ask("/ready")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "starting\n", body)

	var target error
	o.health.Watch("broker", func(context.Context) error { return nil })
	o.health.Watch("target", func(context.Context) error { return target })
	code, body = ask("/ready")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "OK", body)

	target = errors.New("connection refused")
	code, body = ask("/ready")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "target: connection refused\n", body)
	code, body = ask("/health")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "OK", body)

	o.health.fail(errors.New("wrong password"))
	for _, path := range []string{"/health", "/ready"} {
		code, body = ask(path)
		require.Equal(t, http.StatusServiceUnavailable, code, path)
		require.Equal(t, "wrong password\n", body, path)
	}
	_, body = ask("/metrics")
	require.Contains(t, body, `danube_connector_health{connector="c"} 0`)
}

func TestAPortInUseIsToldWithTheMend(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	err = newOperations("c").serve("127.0.0.1", uint16(port))
	require.ErrorContains(t, err, "choose another with processing.metrics_port, 0 for none")
}

func TestTheOperationsPortOpensAndCloses(t *testing.T) {
	t.Parallel()
	o := newOperations("c")
	require.NoError(t, o.serve("127.0.0.1", 0))
	require.NoError(t, o.close())
}
