package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// maxDocumentBytes is the server's limit for one document.
const maxDocumentBytes = 16 << 20

// metadataField holds what Danube knows of a record, when include_metadata is set.
const metadataField = "_danube"

// An operation writes the document of one record.
type operation struct {
	record     int // its place in the batch
	collection string
	id         string // the same for equal values of _id
	bytes      int    // on the wire, about
	model      mongo.WriteModel
}

// operation makes the write of a record. Its errors are the record's fault.
func (c config) operation(record int, r connect.Record) (operation, error) {
	doc, id, err := c.document(r)
	if err != nil {
		return operation{}, connect.Reject(err)
	}
	op := operation{record: record, collection: c.Collection, id: idText(id), bytes: len(doc) + len(id.Value) + 64}
	if r.To != "" {
		op.collection = r.To
	}
	if c.Mode == modeReplace {
		op.model = mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: id}}).SetReplacement(doc).SetUpsert(true)
	} else {
		op.model = mongo.NewInsertOneModel().SetDocument(doc)
	}
	return op, nil
}

// document turns a record's value into BSON, with the _id first.
func (c config) document(r connect.Record) (bson.Raw, bson.RawValue, error) {
	value, err := decode(r.Value)
	if err != nil {
		return nil, bson.RawValue{}, err
	}
	elements, err := value.Elements()
	if err != nil {
		return nil, bson.RawValue{}, fmt.Errorf("read value: %w", err)
	}
	id, err := c.documentID(r, elements)
	if err != nil {
		return nil, bson.RawValue{}, err
	}
	doc := make([]byte, 4, len(value)+128)
	if doc, err = appendElements(doc, bson.D{{Key: "_id", Value: id}}); err != nil {
		return nil, bson.RawValue{}, fmt.Errorf("encode _id: %w", err)
	}
	for _, e := range elements {
		switch name := e.Key(); {
		case strings.HasPrefix(name, "$"):
			return nil, bson.RawValue{}, fmt.Errorf("field %q: a name that begins with $ means an operator; rename it", name)
		case name == "_id", name == metadataField && c.IncludeMetadata:
		default:
			doc = append(doc, e...)
		}
	}
	if c.IncludeMetadata {
		if doc, err = appendElements(doc, metadata(r)); err != nil {
			return nil, bson.RawValue{}, fmt.Errorf("encode %s: %w", metadataField, err)
		}
	}
	doc = append(doc, 0)
	if len(doc) > maxDocumentBytes {
		return nil, bson.RawValue{}, fmt.Errorf("document has %d bytes; the server takes %d", len(doc), maxDocumentBytes)
	}
	binary.LittleEndian.PutUint32(doc, uint32(len(doc)))
	return doc, id, nil
}

// decode reads a JSON object, whose values may have the types of MongoDB's extended JSON, such as {"$date": …}.
func decode(value []byte) (bson.Raw, error) {
	// The driver would also take an object followed by rubbish, and bytes that are no text.
	if !json.Valid(value) || !utf8.Valid(value) {
		return nil, errors.New("value is not JSON in UTF-8")
	}
	var doc bson.Raw
	if err := bson.UnmarshalExtJSON(value, false, &doc); err != nil {
		return nil, fmt.Errorf("value is not a document: %w", err)
	}
	if doc == nil {
		return nil, errors.New("value is not a document but null")
	}
	return doc, nil
}

// documentID gives the _id as the configuration says. A document that already has an _id keeps it or is refused, never changed.
func (c config) documentID(r connect.Record, elements []bson.RawElement) (bson.RawValue, error) {
	var own, field []bson.RawValue
	for _, e := range elements {
		if e.Key() == "_id" {
			own = append(own, e.Value())
		}
		if e.Key() == c.IDField {
			field = append(field, e.Value())
		}
	}
	switch {
	case len(own) > 0 && (c.ID != idField || c.IDField != "_id"):
		return bson.RawValue{}, errors.New(`document has an _id; set id = "field" and id_field = "_id" to keep it`)
	case c.ID == idKey && r.Key == "":
		return bson.RawValue{}, errors.New("record has no routing key to make an _id of")
	case c.ID == idKey:
		return stringValue(r.Key), nil
	case c.ID == idEvent:
		return stringValue(r.EventID()), nil
	case len(field) != 1:
		return bson.RawValue{}, fmt.Errorf("field %q, the _id, is in the document %d times", c.IDField, len(field))
	}
	switch field[0].Type {
	case bson.TypeArray, bson.TypeRegex, bson.TypeUndefined, bson.TypeNull:
		return bson.RawValue{}, fmt.Errorf("field %q is of type %v, which cannot be an _id", c.IDField, field[0].Type)
	}
	return field[0], nil
}

// stringValue is text as BSON.
func stringValue(text string) bson.RawValue {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, len(text)+5), uint32(len(text)+1))
	return bson.RawValue{Type: bson.TypeString, Value: append(append(b, text...), 0)}
}

// idText is equal for values that the server holds for the same _id: it compares numbers by value, whatever their type.
func idText(id bson.RawValue) string {
	var number float64
	switch id.Type {
	case bson.TypeInt32:
		number = float64(id.Int32())
	case bson.TypeInt64:
		number = float64(id.Int64()) // neighbours beyond 2^53 look equal; that costs a bulk write more and nothing else
	case bson.TypeDouble:
		number = id.Double()
	case bson.TypeDecimal128:
		number, _ = strconv.ParseFloat(id.Decimal128().String(), 64)
	default:
		return string(id.Type) + string(id.Value)
	}
	return "number " + strconv.FormatFloat(number+0, 'g', -1, 64) // +0 makes -0 zero
}

// metadata is the content of the field _danube.
func metadata(r connect.Record) bson.D {
	return bson.D{{Key: metadataField, Value: bson.D{
		{Key: "topic", Value: r.Topic},
		{Key: "partition", Value: int32(r.Partition)},
		{Key: "offset", Value: int64(r.Offset)},
		{Key: "event_id", Value: r.EventID()},
		{Key: "key", Value: r.Key},
		{Key: "publish_time", Value: bson.NewDateTimeFromTime(r.PublishTime)},
	}}}
}

// appendElements appends the encoded elements of d without the frame of a document.
func appendElements(dst []byte, d bson.D) ([]byte, error) {
	b, err := bson.Marshal(d)
	if err != nil {
		return nil, err
	}
	return append(dst, b[4:len(b)-1]...), nil
}
