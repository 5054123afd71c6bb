package main

import (
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
)

func TestValidateReportsEveryProblem(t *testing.T) {
	t.Parallel()
	err := config{
		URI: "localhost", Database: "a.b", Collection: "system.users", Mode: "upsert", ID: idField, IDField: "a.b", WriteConcern: "0", Timeout: -1,
	}.Validate()
	for _, want := range []string{
		"uri: does not begin", `database: "a.b"`, `collection: "system.users"`, `mode: "upsert"`, `id_field: "a.b"`, `write_concern: "0"`, "timeout: -1ns",
	} {
		require.ErrorContains(t, err, want)
	}
	c := settings("mongodb://127.0.0.1")
	c.ID = "uuid"
	require.ErrorContains(t, c.Validate(), `id: "uuid"`)
	require.NoError(t, settings("mongodb://127.0.0.1").Validate())
}

func TestURIErrorsNeverShowThePassword(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"mongodb://root:s3cret@host:99999": "port must be in the range", "mongodb://root:s3/cret@host": "unescaped slash", "mongodb://root:s3cret": "port that is no number",
		"mongodb://root:s3%cret@host": "write it as %25", "mongodb://root:s3:cret@host": "unescaped colon", "mongodb://root:s3cret@": "at least 1 host",
		"http://root:s3cret@host": "does not begin with", "mongodb://root:s3@cret@host": "unescaped @ sign", "mongodb://root:s3cret@host/?tls=maybe": `"maybe"`,
	} {
		err := settings(uri).Validate()
		require.ErrorContains(t, err, want, uri)
		require.ErrorContains(t, err, "uri: ", uri)
		require.NotContains(t, err.Error(), "s3", uri)
		require.NotContains(t, err.Error(), "cre", uri)
	}
}

func TestNamesBehindSRVAreLookedUpLater(t *testing.T) {
	t.Parallel()
	require.NoError(t, settings("mongodb+srv://cluster.invalid/").Validate())
}

func TestClientOptions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		uri, concern string
		journal      bool
		want         any
		app          string
	}{
		"majority":     {concern: "majority", journal: true, want: "majority", app: "sink-mongodb"},
		"members":      {concern: "2", want: 2, app: "sink-mongodb"},
		"tag set":      {concern: "east", want: "east", app: "sink-mongodb"},
		"over the URI": {uri: "?w=0&journal=false&appName=mine", concern: "1", journal: true, want: 1, app: "mine"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := settings("mongodb://127.0.0.1/" + tt.uri)
			c.WriteConcern, c.Journal = tt.concern, tt.journal
			opts := c.clientOptions()
			require.NoError(t, opts.Validate())
			require.Equal(t, tt.want, opts.WriteConcern.W)
			require.Equal(t, tt.journal, *opts.WriteConcern.Journal)
			require.Equal(t, tt.app, *opts.AppName)
		})
	}
}

var _ connect.Pinger = (*sink)(nil)
