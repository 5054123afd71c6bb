package main

import (
	"path/filepath"
	"regexp"
	"strings"
)

// counter is what rotation puts into a name: a number or a time.
var counter = regexp.MustCompile(`^[-._]?[0-9][-._:0-9TZ+]*$`)

// related tells whether a file called name may hold what a file called base held before: app.log.1, app.log.old, app-2025.log.
func related(base, name string) bool {
	if added, ok := strings.CutPrefix(name, base); ok {
		return added != ""
	}
	added := infix(base, name)
	return added != "" && strings.ContainsRune("-._", rune(added[0]))
}

// rotated tells the same of names that differ from base by a number or a time only.
func rotated(base, name string) bool {
	if added, ok := strings.CutPrefix(name, base); ok && counter.MatchString(added) {
		return true
	}
	return counter.MatchString(infix(base, name))
}

// infix is what name holds between base and its extension: -2025 in app-2025.log of app.log.
func infix(base, name string) string {
	ext := filepath.Ext(base)
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(base, ext))
	if !ok || ext == "" {
		return ""
	}
	added, ok := strings.CutSuffix(rest, ext)
	if !ok {
		return ""
	}
	return added
}
