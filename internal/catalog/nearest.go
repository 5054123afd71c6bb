package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// An UnknownError says that a name stands for nothing, and which names come nearest to it.
type UnknownError struct {
	What      string   // "kind", "sink system", …
	Name      string   // what was asked for
	Nearest   []string // names a typing error away, nearest first; may be empty
	All       []string // every name that exists
	OtherKind string   // the kind that has a system of this name, where the asked one has not
}

// Error tells what is unknown.
func (e *UnknownError) Error() string { return fmt.Sprintf("unknown %s %q", e.What, e.Name) }

// Suggestion tells what to write instead.
func (e *UnknownError) Suggestion() string {
	switch {
	case e.OtherKind != "":
		return fmt.Sprintf("%s exists as a %s; %ss are: %s", e.Name, e.OtherKind, strings.Fields(e.What)[0], strings.Join(e.All, ", "))
	case len(e.Nearest) > 0:
		return fmt.Sprintf("did you mean %s?", strings.Join(e.Nearest, " or "))
	default:
		return "choose one of " + strings.Join(e.All, ", ")
	}
}

// Nearest gives the names that a typing error could have turned into word: at most three, nearest first. A name counts when at most
// a third of its letters (and at least one) would have to change, or when one of the two begins with the other.
func Nearest(word string, names []string) []string {
	type candidate struct {
		name string
		away int
	}
	var near []candidate
	word = strings.ToLower(word)
	for _, name := range names {
		away := distance(word, name)
		prefix := len(word) > 1 && (strings.HasPrefix(name, word) || strings.HasPrefix(word, name))
		if prefix || away <= max(1, max(len(name), len(word))/3) {
			near = append(near, candidate{name, away})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return a.away - b.away })
	var out []string
	for _, c := range near[:min(3, len(near))] {
		out = append(out, c.name)
	}
	return out
}

// distance counts the letters to insert, delete, change or swap with their neighbour to get from a to b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
