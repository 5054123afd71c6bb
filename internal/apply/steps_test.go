package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var errInjected = errors.New("injected failure")

// a situation is what Apply meets.
type situation struct {
	files  map[string]string // in the target; nil when it does not exist
	policy Policy
}

var situations = map[string]situation{
	"absent directory": {files: nil},
	"empty directory":  {files: map[string]string{}},
	"filled directory": {files: map[string]string{"other.txt": "mine\n", "deploy/": ""}},
	"overwriting":      {files: map[string]string{"README.md": "mine\n", "main.go": "mine too\n", "other.txt": "mine\n"}, policy: Overwrite},
	"keeping":          {files: map[string]string{"README.md": "mine\n", "deploy/k8s/app.yaml": "mine\n"}, policy: Keep},
}

// set makes a target as the situation has it, below a parent that is not there when the target is not.
func (s situation) set(t *testing.T, home string) (dir string) {
	t.Helper()
	dir = filepath.Join(home, "parent", "out")
	if s.files != nil {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		fill(t, dir, s.files)
	}
	return dir
}

// steps counts the changes of an undisturbed run.
func (s situation) steps(t *testing.T) int {
	t.Helper()
	n := 0
	plan, err := New(tree(repository), s.set(t, t.TempDir()), s.policy)
	require.NoError(t, err)
	require.NoError(t, plan.apply(disk{before: func(string) error { n++; return nil }}))
	return n
}

// Whichever step fails, the target and everything around it is as before, and another run succeeds.
func TestAnyFailureLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, s := range situations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := contents(t, s.finished(t))
			for fail := 1; fail <= s.steps(t); fail++ {
				home := t.TempDir()
				dir := s.set(t, home)
				before := contents(t, home)
				plan, err := New(tree(repository), dir, s.policy)
				require.NoError(t, err)
				n, failed := 0, ""
				err = plan.apply(disk{before: func(step string) error {
					if n++; n == fail {
						failed = step
						return fmt.Errorf("%s: %w", step, errInjected)
					}
					return nil
				}})
				if err == nil { // another way was taken, or only rubbish is left
					require.Regexp(t, "^(remove|discard) ", failed)
				} else {
					require.ErrorIs(t, err, errInjected)
					require.Empty(t, cmp.Diff(before, contents(t, home)), "failure %d (%s)", fail, failed)
				}
				require.NoError(t, write(t, repository, dir, s.policy), "after failure %d", fail)
				require.Empty(t, cmp.Diff(after, contents(t, dir)), "failure %d (%s), run again", fail, failed)
			}
		})
	}
}

// Whichever step the process dies at, the next run finds the target as before or complete, and completes it.
func TestAnyDeathIsUndoneByTheNextRun(t *testing.T) {
	t.Parallel()
	for name, s := range situations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := contents(t, s.finished(t))
			for death := 1; death <= s.steps(t); death++ {
				home := t.TempDir()
				dir := s.set(t, home)
				before := contents(t, dir)
				plan, err := New(tree(repository), dir, s.policy)
				require.NoError(t, err)
				n, died := 0, ""
				plan.apply(disk{before: func(step string) error {
					if n++; n < death {
						return nil
					}
					if died == "" {
						died = step
					}
					return errInjected // dead from here on: nothing is cleaned up either
				}})
				if len(before) == 0 {
					requireOneOf(t, contents(t, dir), died, before, nil, after)
				}
				_, err = Recover(dir)
				require.NoError(t, err)
				if len(before) == 0 {
					requireOneOf(t, contents(t, dir), died, before, nil, after)
				} else {
					requireOneOf(t, contents(t, dir), died, before, after)
				}
				require.NoError(t, write(t, repository, dir, s.policy), "after death at %s", died)
				require.Empty(t, cmp.Diff(after, contents(t, dir)), "after death at %s, run again", died)
				require.Len(t, contents(t, filepath.Dir(dir)), len(after)+1, "nothing is left beside the target after death at %s", died)
			}
		})
	}
}

// requireOneOf fails when a death left the target in a state that is none of those allowed; nil is a target that is not there,
// which an empty one may become for a moment.
func requireOneOf(t *testing.T, got map[string]string, died string, allowed ...map[string]string) {
	t.Helper()
	for _, a := range allowed {
		if (a == nil) == (got == nil) && cmp.Equal(a, got) {
			return
		}
	}
	t.Fatalf("death at %s left %v", died, got)
}

// finished is a target in which an undisturbed run has ended.
func (s situation) finished(t *testing.T) (dir string) {
	t.Helper()
	dir = s.set(t, t.TempDir())
	require.NoError(t, write(t, repository, dir, s.policy))
	return dir
}

// What a user changed after the death is the user's.
func TestRecoverLeavesEditedFilesAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir, map[string]string{"README.md": "mine\n", "other.txt": "mine\n"})
	plan, err := New(tree(repository), dir, Overwrite)
	require.NoError(t, err)
	dead := false
	err = plan.apply(disk{before: func(step string) error {
		dead = dead || step == "sync "+dir // all files are in place
		if dead {
			return errInjected
		}
		return nil
	}})
	require.ErrorIs(t, err, errInjected)
	fill(t, dir, map[string]string{"README.md": "edited\n", "main.go": "edited\n"})
	undone, err := Recover(dir)
	require.NoError(t, err)
	require.True(t, undone)
	requireContents(t, dir, map[string]string{"README.md": "edited\n", "main.go": "edited\n", "other.txt": "mine\n"})
	undone, err = Recover(dir)
	require.NoError(t, err)
	require.False(t, undone)
}
