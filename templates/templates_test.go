package templates_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/templates"
)

// Embedding leaves out silently what no pattern names, and every directory with a go.mod of its own.
func TestEveryFileIsEmbedded(t *testing.T) {
	t.Parallel()
	require.NoError(t, fs.WalkDir(os.DirFS("."), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || p == "templates.go" || p == "templates_test.go" {
			return err
		}
		_, err = fs.Stat(templates.FS, p)
		return err
	}))
}
