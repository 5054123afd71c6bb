package option

import "strings"

// nearest is the known path that looks most like path, empty when none is near. Places in arrays do not count.
func nearest(path string, known []string) string {
	path = withoutIndex(path)
	best, bestDistance := "", 3+len(path)/8
	for _, k := range known {
		d := distance(path, k)
		if lastOf(k) == lastOf(path) {
			d = min(d, 2) // the right key in the wrong table
		}
		if d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return strings.ReplaceAll(best, "[]", "")
}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func withoutIndex(path string) string {
	var b strings.Builder
	inside := false
	for _, r := range path {
		if r == ']' {
			inside = false
		}
		if !inside {
			b.WriteRune(r)
		}
		if r == '[' {
			inside = true
		}
	}
	return b.String()
}

// distance is the number of single-character edits between two short strings (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
