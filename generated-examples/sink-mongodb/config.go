package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// The values of the options mode and id.
const (
	modeInsert  = "insert"
	modeReplace = "replace"

	idEvent = "event_id"
	idKey   = "key"
	idField = "field"
)

// config is the [mongodb] table of connector.toml.
type config struct {
	URI             connect.Secret `toml:"uri" env:"MONGODB_URI" example:"mongodb://127.0.0.1:27017" doc:"Connection string, with the driver's options for TLS, pool and authentication."`
	Database        string         `toml:"database" env:"MONGODB_DATABASE" example:"danube" doc:"Database to write to."`
	Collection      string         `toml:"collection" env:"MONGODB_COLLECTION" example:"events" doc:"Collection of the records whose route has no to."`
	Mode            string         `toml:"mode" env:"MONGODB_MODE" default:"insert" doc:"insert: a document once written stays as it is; replace: the newest record of an _id wins."`
	ID              string         `toml:"id" env:"MONGODB_ID" default:"event_id" doc:"Where _id comes from: event_id (one document per record), key (one per routing key) or field (one per value of id_field)."`
	IDField         string         `toml:"id_field" env:"MONGODB_ID_FIELD" default:"_id" doc:"Field of the document that becomes its _id when id is field."`
	IncludeMetadata bool           `toml:"include_metadata" env:"MONGODB_INCLUDE_METADATA" default:"false" doc:"Add a field _danube with topic, partition, offset, event_id, key and publish_time; it replaces a field of that name."`
	WriteConcern    string         `toml:"write_concern" env:"MONGODB_WRITE_CONCERN" default:"majority" doc:"Members that must have a write before it counts: majority, a number from 1 or the name of a tag set; overrides the connection string."`
	Journal         bool           `toml:"journal" env:"MONGODB_JOURNAL" default:"true" doc:"Wait until a write is in the on-disk journal as well; overrides the connection string."`
	Timeout         time.Duration  `toml:"timeout" env:"MONGODB_TIMEOUT" default:"10s" doc:"Limit for one bulk write, including the search for a primary."`
}

// Validate reports every problem, not only the first.
func (c config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if err := checkURI(string(c.URI)); err != nil {
		problem("uri: %w", err)
	}
	if c.Database == "" || strings.ContainsAny(c.Database, "/\\. \"$*<>:|?\x00") || len(c.Database) > 63 {
		problem("database: %q is not a database name; use 1 to 63 characters without /\\. \"$*<>:|?", c.Database)
	}
	if c.Collection == "" || strings.ContainsAny(c.Collection, "$\x00") || strings.HasPrefix(c.Collection, "system.") {
		problem("collection: %q is not a collection name; use one without $ that does not begin with system.", c.Collection)
	}
	if !slices.Contains([]string{modeInsert, modeReplace}, c.Mode) {
		problem("mode: %q is not known; use insert or replace", c.Mode)
	}
	if !slices.Contains([]string{idEvent, idKey, idField}, c.ID) {
		problem("id: %q is not known; use event_id, key or field", c.ID)
	}
	if c.ID == idField && (c.IDField == "" || strings.ContainsAny(c.IDField, ".$\x00")) {
		problem("id_field: %q is not the name of a top-level field; use one without dots and $", c.IDField)
	}
	if n, err := strconv.Atoi(c.WriteConcern); c.WriteConcern == "" || err == nil && n < 1 {
		problem("write_concern: %q would not confirm a write; use majority, a number from 1 or a tag set", c.WriteConcern)
	}
	if c.Timeout <= 0 {
		problem("timeout: %v is not positive; use for example 10s", c.Timeout)
	}
	return errors.Join(problems...)
}

// checkURI looks at the connection string as far as that needs no network: names behind mongodb+srv are looked up by open. The two
// reasons of the driver that quote what may be a piece of the password are put into other words.
func checkURI(uri string) error {
	switch {
	case strings.HasPrefix(uri, "mongodb+srv://"):
		return nil
	case !strings.HasPrefix(uri, "mongodb://"):
		return errors.New("does not begin with mongodb:// or mongodb+srv://")
	}
	err := options.Client().ApplyURI(uri).Validate()
	switch {
	case errors.As(err, new(*strconv.NumError)):
		return errors.New("has a port that is no number; a user name and password end with @")
	case errors.As(err, new(url.EscapeError)):
		return errors.New("has a bare % in the user name or password; write it as %25")
	}
	return err
}

// clientOptions turns the configuration into the driver's.
func (c config) clientOptions() *options.ClientOptions {
	opts := options.Client().ApplyURI(string(c.URI))
	if opts.AppName == nil {
		opts.SetAppName("sink-mongodb") // shown in the server's log and in currentOp
	}
	concern := &writeconcern.WriteConcern{W: c.WriteConcern, Journal: &c.Journal}
	if members, err := strconv.Atoi(c.WriteConcern); err == nil {
		concern.W = members
	}
	return opts.SetWriteConcern(concern)
}
