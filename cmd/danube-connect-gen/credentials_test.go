package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// Every command that speaks to a broker reaches one that demands TLS and tokens.
func TestCommandsReachASecureBroker(t *testing.T) {
	t.Parallel()
	auth := danubetest.Auth{Secret: []byte("secret"), SuperAdmins: []string{"root"}, AdminTLS: true}
	b := danubetest.Start(t, danubetest.Secure(auth))
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	ca := file(string(b.RootCA()))
	good := []string{"--ca-file", ca, "--token-file", file(auth.Token("root", time.Minute) + "\n")}
	invokeWith := func(stdin string, flags []string, args ...string) (int, string, string) {
		return invoke(t, stdin, append(args, flags...)...)
	}

	wait := startConsume(t, b, append(good, "--count", "1")...)
	code, _, errs := invokeWith("one\n", good, "produce", "/default/x", "--broker", b.URL())
	require.Zero(t, code, errs)
	require.Equal(t, "one\n", wait())
	code, out, errs := invokeWith("", good, "topics", "--admin", b.AdminURL())
	require.Zero(t, code, errs)
	require.Regexp(t, `(?m)^/default/x +0 +Reliable$`, out)
	code, out, errs = invokeWith("", good, "subscriptions", "/default/x", "--admin", b.AdminURL())
	require.Zero(t, code, errs)
	require.Contains(t, out, "danube-connect-gen")

	for name, tt := range map[string]struct {
		flags []string
		code  int
		text  string
	}{
		"no token":       {[]string{"--ca-file", ca, "--timeout", "2s"}, exitFailed, "Authentication credentials are missing"},
		"forged token":   {[]string{"--ca-file", ca, "--timeout", "2s", "--token-file", file("x.y.z")}, exitFailed, "Invalid token"},
		"no certificate": {[]string{"--timeout", "1s"}, exitEnvironment, "certificate"},
		"no ca file":     {[]string{"--ca-file", "missing"}, exitBadInput, "--ca-file: open missing: no such file"},
		"bad ca file":    {[]string{"--ca-file", file("x")}, exitBadInput, "holds no certificate; name a file in PEM format"},
		"no token file":  {[]string{"--token-file", "missing"}, exitBadInput, "--token-file: open missing: no such file"},
		"empty token":    {[]string{"--token-file", file(" \n")}, exitBadInput, "is empty; name a file that holds the token alone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, errs := invoke(t, "one\n", append([]string{"produce", "/default/x", "--broker", b.URL()}, tt.flags...)...)
			require.Contains(t, errs, tt.text)
			require.Equal(t, tt.code, code)
			code, _, errs = invoke(t, "", append([]string{"topics", "--admin", b.AdminURL()}, tt.flags...)...)
			require.NotZero(t, code)
			require.Contains(t, errs, tt.text)
		})
	}
}

// A token that was renewed in its file is used before long.
func TestTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte("one\n"), 0o600))
	token := &fileToken{file: path}
	got, err := token.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, "one", got)
	require.NoError(t, os.WriteFile(path, []byte("two\n"), 0o600))
	got, err = token.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, "one", got)
	token.read = time.Now().Add(-tokenAge)
	got, err = token.get(t.Context())
	require.NoError(t, err)
	require.Equal(t, "two", got)
}
