package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/danube-messaging/danube-connect-go/internal/render"
	"github.com/danube-messaging/danube-connect-go/internal/scaffold"
)

// What a release sets with -ldflags "-X main.version=v0.1.0 …". All are empty in a binary that was built from a checkout.
var (
	version        string // of the command
	runtimeVersion string // of the runtime that its repositories require
	runtimeSum     string // h1: hash of that version's module zip, as in go.sum
	runtimeModSum  string // h1: hash of its go.mod, as in go.sum
)

// A build says what this binary was made from.
type build struct {
	version  string
	runtime  render.Runtime // without Replace
	checkout string         // root directory of the checkout; empty for a release
}

// released tells whether the binary carries a runtime release with its checksums.
func (b build) released() bool { return b.runtime.Sum != "" && b.runtime.ModSum != "" }

func ownBuild() build {
	b := build{
		version: version,
		runtime: render.Runtime{Version: runtimeVersion, Sum: runtimeSum, ModSum: runtimeModSum},
	}
	if b.version == "" {
		b.version = scaffold.DevelVersion
	}
	if b.runtime.Version == "" {
		b.runtime.Version = scaffold.NextRuntime
	}
	if !b.released() {
		b.checkout = findCheckout()
	}
	return b
}

// findCheckout gives the root of the checkout that the binary was built from, or "" when it is not there any more or the binary
// does not know it (built with -trimpath, or installed from a module proxy).
func findCheckout() string {
	var places []string
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		places = append(places, filepath.Join(filepath.Dir(file), "..", ".."))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == render.RuntimeModule && dep.Replace != nil && filepath.IsAbs(dep.Replace.Path) {
				places = append(places, filepath.Dir(dep.Replace.Path))
			}
		}
	}
	for _, root := range places {
		if checkRuntime(filepath.Join(root, "runtime")) == nil {
			return root
		}
	}
	return ""
}

// checkRuntime tells whether dir is a checkout's runtime module.
func checkRuntime(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	if got := modfile.ModulePath(text); got != render.RuntimeModule {
		return fmt.Errorf("its go.mod names the module %q, not %s", got, render.RuntimeModule)
	}
	return nil
}

// runtimeFor says where a repository in dir gets its runtime from. override is a directory that the user named, else empty.
func (b build) runtimeFor(dir, override string) (render.Runtime, error) {
	switch {
	case override != "":
		place := override
		if !filepath.IsAbs(place) {
			place = filepath.Join(dir, place)
		}
		if err := checkRuntime(place); err != nil {
			return render.Runtime{}, badInput("--runtime-replace", err, "name the runtime directory of a checkout, absolute or relative to --dir")
		}
		return b.replaced(override), nil
	case b.released():
		return b.runtime, nil
	case b.checkout == "":
		return render.Runtime{}, &failure{
			exit: exitEnvironment, code: "no_runtime", what: "new",
			err:  errors.New("this binary carries no runtime release and its source checkout is not there"),
			mend: "install a released binary, build one in a checkout, or name one with --runtime-replace DIR",
		}
	default:
		replace, err := relativeInside(b.checkout, dir)
		return b.replaced(replace), err
	}
}

func (b build) replaced(dir string) render.Runtime {
	return render.Runtime{Version: b.runtime.Version, Replace: filepath.ToSlash(dir)}
}

// relativeInside gives the checkout's runtime directory: relative when dir lies in the checkout too, so that both can move together,
// else absolute.
func relativeInside(checkout, dir string) (string, error) {
	root, err := filepath.EvalSymlinks(checkout)
	if err != nil {
		return "", fmt.Errorf("resolve checkout: %w", err)
	}
	target, err := resolve(dir)
	if err != nil {
		return "", err
	}
	runtimeDir := filepath.Join(root, "runtime")
	inside, err := filepath.Rel(root, target)
	if err != nil || inside == ".." || strings.HasPrefix(inside, ".."+string(filepath.Separator)) {
		return runtimeDir, nil
	}
	return filepath.Rel(target, runtimeDir)
}

// resolve is EvalSymlinks for a path whose last elements may not be there yet.
func resolve(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(abs) == abs {
		return real, err
	}
	parent, err := resolve(filepath.Dir(abs))
	return filepath.Join(parent, filepath.Base(abs)), err
}
