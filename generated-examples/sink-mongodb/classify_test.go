package main

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// serverCodes are the codes that matter, and what becomes of them as the error of a command, of one document, of a write concern.
var serverCodes = []struct {
	code    int
	name    string
	command connect.Class
	write   connect.Class
	concern connect.Class
}{
	{code: 1, name: "InternalError", command: retry, write: retry, concern: retry},
	{code: 2, name: "BadValue", command: retry, write: rejected, concern: retry},
	{code: 6, name: "HostUnreachable", command: retry, write: retry, concern: retry},
	{code: 7, name: "HostNotFound", command: retry, write: retry, concern: retry},
	{code: 11, name: "UserNotFound", command: fatal, write: fatal, concern: fatal},
	{code: 13, name: "Unauthorized", command: fatal, write: fatal, concern: fatal},
	{code: 14, name: "TypeMismatch", command: retry, write: rejected, concern: retry},
	{code: 15, name: "Overflow", command: rejected, write: rejected, concern: retry},
	{code: 18, name: "AuthenticationFailed", command: fatal, write: fatal, concern: fatal},
	{code: 22, name: "InvalidBSON", command: rejected, write: rejected, concern: retry},
	{code: 24, name: "LockTimeout", command: retry, write: retry, concern: retry},
	{code: 50, name: "MaxTimeMSExpired", command: retry, write: retry, concern: retry},
	{code: 52, name: "DollarPrefixedFieldName", command: retry, write: rejected, concern: retry},
	{code: 53, name: "InvalidIdField", command: retry, write: rejected, concern: retry},
	{code: 55, name: "InvalidDBRef", command: retry, write: rejected, concern: retry},
	{code: 56, name: "EmptyFieldName", command: retry, write: rejected, concern: retry},
	{code: 57, name: "DottedFieldName", command: retry, write: rejected, concern: retry},
	{code: 61, name: "ShardKeyNotFound", command: retry, write: rejected, concern: retry},
	{code: 64, name: "WriteConcernTimeout", command: retry, write: retry, concern: retry},
	{code: 66, name: "ImmutableField", command: retry, write: rejected, concern: retry},
	{code: 73, name: "InvalidNamespace", command: fatal, write: fatal, concern: fatal},
	{code: 79, name: "UnknownReplWriteConcern", command: fatal, write: fatal, concern: fatal},
	{code: 89, name: "NetworkTimeout", command: retry, write: retry, concern: retry},
	{code: 91, name: "ShutdownInProgress", command: retry, write: retry, concern: retry},
	{code: 100, name: "UnsatisfiableWriteConcern", command: retry, write: retry, concern: retry},
	{code: 112, name: "WriteConflict", command: retry, write: retry, concern: retry},
	{code: 121, name: "DocumentValidationFailure", command: retry, write: rejected, concern: retry},
	{code: 133, name: "FailedToSatisfyReadPreference", command: retry, write: retry, concern: retry},
	{code: 166, name: "CommandNotSupportedOnView", command: fatal, write: fatal, concern: fatal},
	{code: 171, name: "CannotIndexParallelArrays", command: retry, write: rejected, concern: retry},
	{code: 189, name: "PrimarySteppedDown", command: retry, write: retry, concern: retry},
	{code: 262, name: "ExceededTimeLimit", command: retry, write: retry, concern: retry},
	{code: 9001, name: "SocketException", command: retry, write: retry, concern: retry},
	{code: 10107, name: "NotWritablePrimary", command: retry, write: retry, concern: retry},
	{code: 10334, name: "BSONObjectTooLarge", command: rejected, write: rejected, concern: retry},
	{code: 11000, name: "DuplicateKey", command: retry, write: rejected, concern: retry},
	{code: 11600, name: "InterruptedAtShutdown", command: retry, write: retry, concern: retry},
	{code: 11602, name: "InterruptedDueToReplStateChange", command: retry, write: retry, concern: retry},
	{code: 13435, name: "NotPrimaryNoSecondaryOk", command: retry, write: retry, concern: retry},
	{code: 13436, name: "NotPrimaryOrSecondary", command: retry, write: retry, concern: retry},
	{code: 14031, name: "OutOfDiskSpace", command: retry, write: retry, concern: retry},
	{code: 16500, name: "request rate too large", command: retry, write: retry, concern: retry},
	{code: 16755, name: "cannot extract geo keys", command: retry, write: rejected, concern: retry},
	{code: 17261, name: "language override", command: retry, write: rejected, concern: retry},
	{code: 17280, name: "KeyTooLong", command: rejected, write: rejected, concern: retry},
	{code: 17419, name: "document too large", command: retry, write: rejected, concern: retry},
}

func TestClassifyCodes(t *testing.T) {
	t.Parallel()
	const command, document, concern = "command", "document", "write concern"
	for _, tt := range serverCodes {
		for kind, want := range map[string]connect.Class{command: tt.command, document: tt.write, concern: tt.concern} {
			cause := map[string]error{
				command:  mongo.CommandError{Code: int32(tt.code), Name: tt.name, Message: "why"},
				document: mongo.WriteError{Code: tt.code, Message: "why"},
				concern:  mongo.WriteConcernError{Code: tt.code, Name: tt.name, Message: "why"},
			}[kind]
			for _, mode := range []string{modeInsert, modeReplace} {
				got := classify(fmt.Errorf("write: %w", cause), mode)
				require.Equal(t, want, connect.ClassOf(got), "%s error %d %s in mode %s", kind, tt.code, tt.name, mode)
				require.ErrorIs(t, got, got)
			}
		}
	}
}

func TestClassifyOtherErrors(t *testing.T) {
	t.Parallel()
	for _, err := range []error{io.EOF, context.Canceled, context.DeadlineExceeded, mongo.ErrClientDisconnected} {
		got := classify(err, modeInsert)
		require.ErrorIs(t, got, err)
		require.Equal(t, retry, connect.ClassOf(got), "%v", err)
	}
	require.NoError(t, classify(nil, modeInsert))
}

func TestClassifyDuplicateKey(t *testing.T) {
	t.Parallel()
	raw := func(fields ...string) bson.Raw {
		pattern := bson.D{}
		for _, name := range fields {
			pattern = append(pattern, bson.E{Key: name, Value: 1})
		}
		doc, err := bson.Marshal(bson.D{{Key: "keyPattern", Value: pattern}})
		require.NoError(t, err)
		return doc
	}
	tests := map[string]struct {
		err             mongo.WriteError
		insert, replace connect.Class
	}{
		"fields: _id":         {err: mongo.WriteError{Raw: raw("_id")}, insert: written, replace: retry},
		"fields: other":       {err: mongo.WriteError{Raw: raw("email")}, insert: rejected, replace: rejected},
		"fields: _id and one": {err: mongo.WriteError{Raw: raw("_id", "email")}, insert: rejected, replace: rejected},
		"text: _id": {
			err:    mongo.WriteError{Message: `E11000 duplicate key error collection: shop.events index: _id_ dup key: { _id: "1" }`},
			insert: written, replace: retry,
		},
		"text: other": {
			err:    mongo.WriteError{Message: `E11000 duplicate key error collection: shop.events index: email_1 dup key: { email: "index:_id_" }`},
			insert: rejected, replace: rejected,
		},
		"text: none": {err: mongo.WriteError{Message: "E11000 duplicate key error"}, insert: rejected, replace: rejected},
	}
	for name, tt := range tests {
		for _, code := range []int{11000, 11001, 12582} {
			tt.err.Code = code
			require.Equal(t, tt.insert, connect.ClassOf(classify(tt.err, modeInsert)), "%s %d insert", name, code)
			require.Equal(t, tt.replace, connect.ClassOf(classify(tt.err, modeReplace)), "%s %d replace", name, code)
		}
	}
}
