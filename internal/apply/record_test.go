package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/internal/render"
)

func TestRecordHoldsTheExactBytes(t *testing.T) {
	t.Parallel()
	base := render.Tree{
		{Path: ".gitignore", Data: []byte("/x"), Mode: 0o644, Owner: "common"},
		{Path: "a.bin", Data: []byte{0, 1, '\r', '\n', 0xff}, Mode: 0o644, Owner: "common"},
		{Path: "run.sh", Data: []byte("#!/bin/sh\n"), Mode: 0o755, Owner: "common"},
	}
	got, err := WithRecord(base, []byte("a = 1\n"))
	require.NoError(t, err)
	again, err := WithRecord(base, []byte("a = 1\n"))
	require.NoError(t, err)
	require.Equal(t, got, again, "the same tree gives the same bytes")

	answers, ok := got.Find(AnswersPath)
	require.True(t, ok)
	require.Equal(t, "a = 1\n", string(answers.Data))
	snapshot, ok := got.Find(BasePath)
	require.True(t, ok)
	unpacked, err := ReadBase(snapshot.Data)
	require.NoError(t, err)
	if diff := cmp.Diff(base, unpacked, cmpopts.IgnoreFields(render.File{}, "Owner")); diff != "" {
		t.Errorf("ReadBase(WithRecord(tree)) (-want +got):\n%s", diff)
	}
	_, err = ReadBase(snapshot.Data[:700])
	require.ErrorContains(t, err, "read base snapshot")
}
