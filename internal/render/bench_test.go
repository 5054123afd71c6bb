package render_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/catalog"
	"github.com/danube-messaging/danube-connect-go/internal/render"
	"github.com/danube-messaging/danube-connect-go/templates"
)

// The work of `new sink http` without the disk.
func BenchmarkRenderNewSinkHTTP(b *testing.B) {
	cat, err := catalog.Load(templates.FS)
	require.NoError(b, err)
	entry, err := cat.Find(catalog.Sink, "http")
	require.NoError(b, err)
	in := render.Input{
		Entry: entry, Module: "example.com/acme/hook", Topic: "/default/events",
		Runtime: render.Runtime{Version: "v0.1.0", Replace: "/somewhere/runtime"},
	}
	size := 0
	for b.Loop() {
		tree, err := render.Render(templates.FS, in)
		if err != nil {
			b.Fatal(err)
		}
		size = tree.Size()
	}
	b.SetBytes(int64(size))
}
