package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

var (
	// duplicateKey: a unique index already holds the value.
	duplicateKey = []int{11000, 11001, 12582}

	// badDocument: the document is at fault, whenever it is written.
	badDocument = []int{
		2,            // BadValue
		14,           // TypeMismatch
		15,           // Overflow: nested too deep
		22,           // InvalidBSON
		52,           // DollarPrefixedFieldName
		53,           // InvalidIdField
		55,           // InvalidDBRef
		56,           // EmptyFieldName
		57,           // DottedFieldName
		61,           // ShardKeyNotFound
		66,           // ImmutableField
		121,          // DocumentValidationFailure
		171,          // CannotIndexParallelArrays
		10334,        // BSONObjectTooLarge
		16755, 16756, // a field with a geospatial index holds no place
		17261, 17262, // a text index finds a language that is none
		17280,        // KeyTooLong
		17419, 17420, // the document is too large
	}

	// badMessage: a document that the server cannot even take apart makes it refuse the whole command.
	badMessage = []int{15, 22, 10334, 17280}

	// badSetup: only another configuration or other rights mend it.
	badSetup = []int{
		11,  // UserNotFound
		13,  // Unauthorized
		18,  // AuthenticationFailed
		73,  // InvalidNamespace: the name of the database or collection
		79,  // UnknownReplWriteConcern
		166, // CommandNotSupportedOnView
	}
)

// classify turns an error of the driver into what the runtime does next. What it does not know is retried: elections, shutdowns,
// lost connections, timeouts, a write concern that was not reached in time, a full disk.
func classify(err error, mode string) error {
	var op mongo.WriteError
	var concern mongo.WriteConcernError
	var command mongo.CommandError
	switch {
	case errors.As(err, &op):
		return classifyWrite(err, op, mode)
	case errors.As(err, &concern):
		if slices.Contains(badSetup, concern.Code) {
			return connect.Fatal(err)
		}
		return err
	case errors.As(err, &command):
		if slices.Contains(badSetup, int(command.Code)) {
			return connect.Fatal(err)
		}
		if slices.Contains(badMessage, int(command.Code)) {
			return connect.Reject(err)
		}
		return err
	default:
		return err
	}
}

// classifyWrite judges the error of one document. An _id that is there means, for insert, that an earlier try wrote the document;
// for replace, that another writer made it in the same moment, so that the next try finds it.
func classifyWrite(err error, op mongo.WriteError, mode string) error {
	switch {
	case slices.Contains(duplicateKey, op.Code) && onID(op):
		if mode == modeInsert {
			return nil
		}
		return err
	case slices.Contains(duplicateKey, op.Code), slices.Contains(badDocument, op.Code):
		return connect.Reject(err)
	case slices.Contains(badSetup, op.Code):
		return connect.Fatal(err)
	default:
		return err
	}
}

// onID tells whether the index that refused a duplicate is the one of _id. Servers that do not send the index's fields name it in
// the text; a text that names none counts as another index, for then the record goes to the dead letters instead of being lost.
func onID(err mongo.WriteError) bool {
	pattern, ok := err.Raw.Lookup("keyPattern").DocumentOK()
	if !ok {
		return strings.Contains(err.Message, "index: _id_ ")
	}
	fields, failed := pattern.Elements()
	return failed == nil && len(fields) == 1 && fields[0].Key() == "_id"
}
