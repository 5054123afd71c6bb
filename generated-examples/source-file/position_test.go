package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
)

func TestPosition(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.append("app.log", "first\nsecond\n")
	c := f.config("app.log")
	c.BatchLines = 1
	r := f.openPolling(c, nil)
	r.read(1)
	r.close()
	var got struct {
		V     int
		Files []savedFile
	}
	require.NoError(t, json.Unmarshal(r.last(), &got))
	require.Equal(t, 1, got.V)
	require.Len(t, got.Files, 1)
	file := got.Files[0]
	require.Equal(t, f.path("app.log"), file.Path)
	require.NotZero(t, file.Ino)
	require.EqualValues(t, 6, file.Offset)
	require.EqualValues(t, 13, file.Size)
	require.Equal(t, markOf([]byte("first\nsecond\n")), file.Head)
	require.Equal(t, markOf([]byte("first\n")), file.Tail)
	require.Regexp(t, "^[0-9a-f]{16}$", file.ID)
}

func TestPositionRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ stored, want string }{
		"not JSON":  {`{`, "read the stored position: "},
		"a newer":   {`{"v":2}`, "the stored position has version 2, this connector knows 1; use the connector that wrote it, or remove it to start again"},
		"bad mark":  {`{"v":1,"files":[{"head":"x:1"}]}`, "has no length from 1 to 1024"},
		"long mark": {`{"v":1,"files":[{"head":"2000:1"}]}`, "has no length from 1 to 1024"},
		"no hash":   {`{"v":1,"files":[{"head":"2:zz"}]}`, "has no hash"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			_, err := open(t.Context(), f.config("app.log"), connect.Position(tt.stored))
			require.ErrorContains(t, err, tt.want)
			require.Equal(t, connect.ClassFatal, connect.ClassOf(err))
		})
	}
}

func TestForgottenGenerations(t *testing.T) {
	t.Parallel()
	s := &source{}
	for i := range maxForgotten + 10 {
		s.discard(&content{file: fileID{ino: uint64(i)}, gen: 1})
	}
	s.discard(&content{file: fileID{ino: maxForgotten}, gen: 4})
	require.Len(t, s.forgotten, maxForgotten)
	require.Equal(t, 0, s.nextGen(fileID{ino: 1}), "too long ago")
	require.Equal(t, 5, s.nextGen(fileID{ino: maxForgotten}))
	require.Equal(t, 2, s.nextGen(fileID{ino: maxForgotten + 9}))
}
