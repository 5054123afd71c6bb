package danube_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lastTrap is the number of the last trap of the protocol's description.
const lastTrap = 52

var (
	trapRow     = regexp.MustCompile(`^\| T-(\d\d) \| (.+) \| (.+) \|$`)
	quotedTest  = regexp.MustCompile("`(Test\\w+)`")
	trapNumber  = regexp.MustCompile(`T(\d\d)`)
	trapNumbers = regexp.MustCompile(`^Test(T\d\d(?:AndT\d\d)*)[A-Z]`)
)

// trapsOf are the numbers that a test carries in its name, such as T20 and T50.
func trapsOf(test string) (numbers []string) {
	if found := trapNumbers.FindStringSubmatch(test); found != nil {
		for _, n := range trapNumber.FindAllStringSubmatch(found[1], -1) {
			numbers = append(numbers, n[1])
		}
	}
	return numbers
}

// trapTests are the tests of this package that carry the number of a trap.
func trapTests(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	tests := make(map[string]bool)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && trapsOf(f.Name.Name) != nil {
				tests[f.Name.Name] = true
			}
		}
	}
	return tests
}

// TestTheTableOfTraps compares docs/client-traps.md with the tests: each trap has its row, each test of a row is there and carries its
// number, and no test that carries a number is left out.
func TestTheTableOfTraps(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/client-traps.md")
	require.NoError(t, err)
	tests, rows := trapTests(t), 0
	named := make(map[string]bool) // number and test
	for line := range strings.Lines(string(text)) {
		row := trapRow.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil {
			require.NotContains(t, line, "| T-", "a row has a number of two digits, what the client does, and tests")
			continue
		}
		rows++
		require.Equal(t, fmt.Sprintf("%02d", rows), row[1], "rows are in order and none is missing")
		quoted := quotedTest.FindAllStringSubmatch(row[3], -1)
		require.Equal(t, len(quoted) == 0, row[3] == "none", "T-%s: tests, or none", row[1])
		for _, q := range quoted {
			require.True(t, tests[q[1]], "T-%s: there is no %s", row[1], q[1])
			require.Contains(t, trapsOf(q[1]), row[1], "%s proves another trap", q[1])
			named[row[1]+q[1]] = true
		}
	}
	require.Equal(t, lastTrap, rows)
	for test := range tests {
		for _, number := range trapsOf(test) {
			require.True(t, named[number+test], "the row of T-%s does not name %s", number, test)
		}
	}
}
