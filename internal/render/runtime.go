package render

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// RuntimeModule is the module path of the runtime that every repository depends on.
const RuntimeModule = "github.com/danube-messaging/danube-connect-go/runtime"

// Runtime says where a repository gets the runtime's module from: a released version with its checksums, or a directory. Exactly one
// of the two is set.
type Runtime struct {
	Version string // what go.mod requires, such as v0.1.0

	// Replace is the directory of a checkout's runtime, absolute or relative to the repository.
	Replace string

	Sum    string // h1: hash of the module, as go.sum has it
	ModSum string // h1: hash of its go.mod
}

// Check returns nil when a repository can be written with r.
func (r Runtime) Check() error {
	switch {
	case module.CanonicalVersion(r.Version) != r.Version || r.Version == "":
		return fmt.Errorf("runtime version %q is not a version such as v0.1.0", r.Version)
	case r.Replace != "":
		return nil
	case !strings.HasPrefix(r.Sum, "h1:") || !strings.HasPrefix(r.ModSum, "h1:"):
		return errors.New("no checksums of the runtime are known, so no go.sum can be written")
	default:
		return nil
	}
}

var replaceComment = []modfile.Comment{
	{Token: "// Written by a danube-connect-gen that was built from a checkout: the runtime comes from there. Delete the line to use"},
	{Token: "// the released runtime, then run `go mod tidy`."},
}

// finishMod checks that go.mod requires the runtime and adds the replace directive of a checkout.
func (r Runtime) finishMod(text []byte) ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	f, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	required := slices.ContainsFunc(f.Require, func(q *modfile.Require) bool {
		return q.Mod == module.Version{Path: RuntimeModule, Version: r.Version}
	})
	if !required {
		return nil, fmt.Errorf("go.mod does not require %s {{.RuntimeVersion}}", RuntimeModule)
	}
	if len(f.Replace) > 0 {
		return nil, errors.New("a template's go.mod has no replace directive: the renderer adds what is needed")
	}
	if r.Replace == "" {
		return text, nil
	}
	if err := f.AddReplace(RuntimeModule, "", r.Replace, ""); err != nil {
		return nil, err
	}
	f.Replace[0].Syntax.Comments.Before = replaceComment
	return f.Format()
}

// finishSum puts the runtime's two lines where the go command would.
func (r Runtime) finishSum(text []byte) ([]byte, error) {
	if bytes.Contains(text, []byte(RuntimeModule+" ")) {
		return nil, errors.New("a template's go.sum has no line of the runtime: the renderer adds what is needed")
	}
	if r.Replace != "" {
		return text, nil
	}
	hashes := map[module.Version]string{}
	var mods []module.Version
	add := func(path, version, hash string) {
		m := module.Version{Path: path, Version: version}
		mods = append(mods, m)
		hashes[m] = hash
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("go.sum: %q is not module, version and hash", line)
		}
		add(f[0], f[1], f[2])
	}
	add(RuntimeModule, r.Version, r.Sum)
	add(RuntimeModule, r.Version+"/go.mod", r.ModSum)
	module.Sort(mods)

	var b bytes.Buffer
	for _, m := range mods {
		fmt.Fprintf(&b, "%s %s %s\n", m.Path, m.Version, hashes[m])
	}
	return b.Bytes(), nil
}
