// Package runtimepack packs the runtime's module the way a module proxy serves it, so that a repository can be tried against a
// runtime that is not released yet.
package runtimepack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

// Sums are the hashes of a packed module, as go.sum has them.
type Sums struct {
	Zip string // h1: of the module
	Mod string // h1: of its go.mod
}

// LDFlags are the linker flags that make a danube-connect-gen of the version pin the packed runtime, as a release does.
func (s Sums) LDFlags(version string) string {
	return fmt.Sprintf("-X main.version=%s -X main.runtimeVersion=%s -X main.runtimeSum=%s -X main.runtimeModSum=%s",
		version, version, s.Zip, s.Mod)
}

// published is the time that the packed module claims. A fixed one gives the same files each time.
var published = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Pack writes the module in dir as version into proxy, a directory that serves as GOPROXY=file://…, and gives its sums.
func Pack(dir, version, proxy string) (Sums, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return Sums{}, fmt.Errorf("read module: %w", err)
	}
	m := module.Version{Path: modfile.ModulePath(text), Version: version}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return Sums{}, fmt.Errorf("name module: %w", err)
	}
	place := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(place, 0o755); err != nil {
		return Sums{}, fmt.Errorf("make proxy: %w", err)
	}
	var archive bytes.Buffer
	if err := zip.CreateFromDir(&archive, m, dir); err != nil {
		return Sums{}, fmt.Errorf("pack %s: %w", m, err)
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, published})
	if err != nil {
		return Sums{}, err
	}
	for name, data := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": info, version + ".mod": text, version + ".zip": archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(place, name), data, 0o644); err != nil {
			return Sums{}, fmt.Errorf("fill proxy: %w", err)
		}
	}
	return hash(filepath.Join(place, version+".zip"), text)
}

func hash(archive string, goMod []byte) (s Sums, err error) {
	if s.Zip, err = dirhash.HashZip(archive, dirhash.Hash1); err != nil {
		return s, fmt.Errorf("hash module: %w", err)
	}
	open := func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(goMod)), nil }
	if s.Mod, err = dirhash.Hash1([]string{"go.mod"}, open); err != nil {
		return s, fmt.Errorf("hash go.mod: %w", err)
	}
	return s, nil
}
