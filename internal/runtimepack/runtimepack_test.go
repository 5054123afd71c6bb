package runtimepack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/runtimepack"
)

// A repository that only works because of a replace directive is a bug. This makes one as a user of a release does: with a binary
// that knows nothing of this checkout, outside of it, with the runtime from a module proxy and module files that may not change.
func TestRuntimePin(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two modules against a packed runtime, which takes long on a cold cache")
	}
	t.Parallel()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	home := t.TempDir()
	proxy := filepath.Join(home, "proxy")
	const version = "v0.1.0"
	sums, err := runtimepack.Pack(filepath.Join(root, "runtime"), version, proxy)
	require.NoError(t, err)

	binary := filepath.Join(home, "danube-connect-gen")
	command(t, root, nil, "go", "build", "-trimpath", "-ldflags", sums.LDFlags(version), "-o", binary, "./cmd/danube-connect-gen")
	require.Contains(t, command(t, home, nil, binary, "version"), "danube-connect-gen "+version+" (runtime "+version+";")

	// The packed runtime goes into a module cache of its own: the shared one must never hold this version with these bytes.
	shared := strings.TrimSpace(command(t, root, nil, "go", "env", "GOMODCACHE"))
	upstream := strings.TrimSpace(command(t, root, nil, "go", "env", "GOPROXY"))
	env := []string{
		"GOWORK=off", "GOFLAGS=-mod=readonly -modcacherw -trimpath", "GOMODCACHE=" + filepath.Join(home, "modcache"),
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(shared, "cache", "download") + "," + upstream,
		"GONOSUMDB=github.com/danube-messaging/*",
	}
	for _, system := range []string{"http"} {
		repository := filepath.Join(home, system)
		command(t, home, nil, binary, "new", "sink", system, "--module", "example.com/acme/"+system)
		mod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
		require.NoError(t, err)
		require.NotContains(t, string(mod), "replace")
		require.Contains(t, string(mod), "github.com/danube-messaging/danube-connect-go/runtime "+version)
		command(t, repository, env, "go", "build", "./...")
		command(t, repository, env, "go", "vet", "./...")
		command(t, repository, env, "go", "mod", "verify")
	}
}

// command runs a program to its end and gives what it prints.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoErrorf(t, err, "%s %s\n%s%s", name, strings.Join(args, " "), out, stderr.String())
	return string(out)
}

func TestPackTwiceGivesTheSameSums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/Some/thing\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("package a\n"), 0o644))
	proxy := t.TempDir()
	first, err := runtimepack.Pack(dir, "v1.2.3", proxy)
	require.NoError(t, err)
	again, err := runtimepack.Pack(dir, "v1.2.3", t.TempDir())
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, "-X main.version=v1.2.3 -X main.runtimeVersion=v1.2.3 -X main.runtimeSum="+first.Zip+" -X main.runtimeModSum="+first.Mod,
		first.LDFlags("v1.2.3"))
	list, err := os.ReadFile(filepath.Join(proxy, "example.com", "!some", "thing", "@v", "list"))
	require.NoError(t, err)
	require.Equal(t, "v1.2.3\n", string(list))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("package b\n"), 0o644))
	changed, err := runtimepack.Pack(dir, "v1.2.3", t.TempDir())
	require.NoError(t, err)
	require.NotEqual(t, first.Zip, changed.Zip)
	require.Equal(t, first.Mod, changed.Mod)

	_, err = runtimepack.Pack(t.TempDir(), "v1.2.3", proxy)
	require.ErrorContains(t, err, "read module")
}
