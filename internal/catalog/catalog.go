// Package catalog knows which external systems the command can write connectors for. It reads templates/systems/*/system.toml.
package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// The kinds of connector. A sink reads from Danube, a source writes to it.
const (
	Sink   = "sink"
	Source = "source"
)

// Blank is the name under which every kind offers a connector of no particular system: a working start for one of your own.
const Blank = "blank"

// Kinds lists every kind, in the order in which they are shown.
func Kinds() []string { return []string{Sink, Source} }

// An Entry is one connector that the command can write.
type Entry struct {
	Kind      string   `json:"kind"`
	System    string   `json:"system"`
	Title     string   `json:"title"`     // the system's name as its owners spell it
	Summary   string   `json:"summary"`   // one sentence
	Libraries []string `json:"libraries"` // import paths of what talks to the system
	Ports     []int    `json:"ports"`     // TCP ports that the system listens on by default
}

// A Catalog is the set of entries. It does not change after [Load].
type Catalog struct {
	entries []Entry
}

// systemFile is the content of a system.toml.
type systemFile struct {
	Title string              `toml:"title"`
	Kinds map[string]kindPart `toml:"kinds"`
}

type kindPart struct {
	Summary   string   `toml:"summary"`
	Libraries []string `toml:"libraries"`
	Ports     []int    `toml:"ports"`
}

// Load reads the catalogue of a template tree. It checks every system.toml: unknown keys, missing texts and unknown kinds
// are errors.
func Load(templates fs.FS) (*Catalog, error) {
	c := &Catalog{}
	for _, b := range blanks {
		if _, err := fs.Stat(templates, b.Kind); err == nil {
			c.entries = append(c.entries, b)
		}
	}
	names, err := fs.Glob(templates, "systems/*")
	if err != nil {
		return nil, fmt.Errorf("list systems: %w", err)
	}
	for _, dir := range names {
		entries, err := loadSystem(templates, dir)
		if err != nil {
			return nil, fmt.Errorf("%s/system.toml: %w", dir, err)
		}
		c.entries = append(c.entries, entries...)
	}
	slices.SortFunc(c.entries, compare)
	return c, nil
}

var blanks = []Entry{
	{
		Kind: Sink, System: Blank, Title: "JSON lines",
		Summary:   "A start for a system of your own; as it stands it appends records to a file.",
		Libraries: []string{"os"},
	},
	{
		Kind: Source, System: Blank, Title: "JSON lines",
		Summary:   "A start for a system of your own; as it stands it reads the lines of a file.",
		Libraries: []string{"os"},
	},
}

func loadSystem(templates fs.FS, dir string) ([]Entry, error) {
	text, err := fs.ReadFile(templates, dir+"/system.toml")
	if err != nil {
		return nil, err
	}
	var f systemFile
	meta, err := toml.Decode(string(text), &f)
	if err != nil {
		return nil, err
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return nil, fmt.Errorf("unknown key %s", extra[0])
	}
	if f.Title == "" || len(f.Kinds) == 0 {
		return nil, errors.New("title and at least one [kinds.…] table are needed")
	}
	var entries []Entry
	for kind, p := range f.Kinds {
		if !slices.Contains(Kinds(), kind) {
			return nil, fmt.Errorf("kinds.%s: not a kind; the kinds are %s", kind, strings.Join(Kinds(), ", "))
		}
		if p.Summary == "" {
			return nil, fmt.Errorf("kinds.%s: summary is missing", kind)
		}
		entries = append(entries, Entry{
			Kind: kind, System: path.Base(dir), Title: f.Title,
			Summary: p.Summary, Libraries: p.Libraries, Ports: p.Ports,
		})
	}
	return entries, nil
}

// compare orders by kind as [Kinds] does, then by system, the blank one last.
func compare(a, b Entry) int {
	if d := slices.Index(Kinds(), a.Kind) - slices.Index(Kinds(), b.Kind); d != 0 {
		return d
	}
	if (a.System == Blank) != (b.System == Blank) {
		if a.System == Blank {
			return 1
		}
		return -1
	}
	return strings.Compare(a.System, b.System)
}

// All lists the entries of every kind.
func (c *Catalog) All() []Entry { return slices.Clone(c.entries) }

// Of lists the entries of one kind.
func (c *Catalog) Of(kind string) []Entry {
	return slices.DeleteFunc(c.All(), func(e Entry) bool { return e.Kind != kind })
}

// Systems lists the systems of one kind.
func (c *Catalog) Systems(kind string) []string {
	var names []string
	for _, e := range c.Of(kind) {
		names = append(names, e.System)
	}
	return names
}

// Find gives the entry of a kind and system. The error of an unknown one names the nearest that exist.
func (c *Catalog) Find(kind, system string) (Entry, error) {
	if err := c.CheckKind(kind); err != nil {
		return Entry{}, err
	}
	for _, e := range c.entries {
		if e.Kind == kind && e.System == system {
			return e, nil
		}
	}
	return Entry{}, c.unknownSystem(kind, system)
}

// CheckKind returns nil for a kind that exists; the error for another one names the nearest.
func (c *Catalog) CheckKind(kind string) error {
	if slices.Contains(Kinds(), kind) {
		return nil
	}
	return &UnknownError{What: "kind", Name: kind, Nearest: Nearest(kind, Kinds()), All: Kinds()}
}

func (c *Catalog) unknownSystem(kind, system string) error {
	e := &UnknownError{
		What: kind + " system", Name: system,
		Nearest: Nearest(system, c.Systems(kind)), All: c.Systems(kind),
	}
	for _, other := range c.entries {
		if other.System == system && other.Kind != kind {
			e.OtherKind = other.Kind
		}
	}
	return e
}
