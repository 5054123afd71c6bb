package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/connect"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	date := bson.NewDateTimeFromTime(time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC))
	oid, err := bson.ObjectIDFromHex("507f1f77bcf86cd799439011")
	require.NoError(t, err)
	tests := map[string]struct {
		id, idField, value string
		metadata           bool
		want               bson.D
	}{
		"event id":        {id: idEvent, value: `{"a":1}`, want: bson.D{{Key: "_id", Value: "e-1"}, {Key: "a", Value: int32(1)}}},
		"key":             {id: idKey, value: `{"a":1}`, want: bson.D{{Key: "_id", Value: "k"}, {Key: "a", Value: int32(1)}}},
		"own _id":         {id: idField, idField: "_id", value: `{"a":1,"_id":7}`, want: bson.D{{Key: "_id", Value: int32(7)}, {Key: "a", Value: int32(1)}}},
		"field":           {id: idField, idField: "a", value: `{"a":{"b":1}}`, want: bson.D{{Key: "_id", Value: bson.D{{Key: "b", Value: int32(1)}}}, {Key: "a", Value: bson.D{{Key: "b", Value: int32(1)}}}}},
		"object id":       {id: idField, idField: "_id", value: `{"_id":{"$oid":"507f1f77bcf86cd799439011"}}`, want: bson.D{{Key: "_id", Value: oid}}},
		"extended types":  {id: idKey, value: `{"d":{"$date":"2024-05-01T12:00:00Z"},"l":{"$numberLong":"3"}}`, want: bson.D{{Key: "_id", Value: "k"}, {Key: "d", Value: date}, {Key: "l", Value: int64(3)}}},
		"numbers":         {id: idKey, value: `{"a":2147483648,"b":1.0,"c":1e300}`, want: bson.D{{Key: "_id", Value: "k"}, {Key: "a", Value: int64(2147483648)}, {Key: "b", Value: 1.0}, {Key: "c", Value: 1e300}}},
		"empty":           {id: idKey, value: ` {} `, want: bson.D{{Key: "_id", Value: "k"}}},
		"inner operators": {id: idKey, value: `{"a":{"$set":1}}`, want: bson.D{{Key: "_id", Value: "k"}, {Key: "a", Value: bson.D{{Key: "$set", Value: int32(1)}}}}},
		"metadata": {id: idKey, metadata: true, value: `{"_danube":1,"a":1}`, want: bson.D{{Key: "_id", Value: "k"}, {Key: "a", Value: int32(1)}, {Key: "_danube", Value: bson.D{
			{Key: "topic", Value: "/default/events"}, {Key: "partition", Value: int32(2)}, {Key: "offset", Value: int64(9)}, {Key: "event_id", Value: "e-1"},
			{Key: "key", Value: "k"}, {Key: "publish_time", Value: date},
		}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := settings("")
			c.ID, c.IncludeMetadata = tt.id, tt.metadata
			if tt.idField != "" {
				c.IDField = tt.idField
			}
			doc, id, err := c.document(connect.Record{
				Topic: "/default/events", Partition: 2, Offset: 9, Key: "k", Value: []byte(tt.value), PublishTime: date.Time(),
				Attributes: map[string]string{connect.EventIDAttribute: "e-1"},
			})
			require.NoError(t, err)
			var got bson.D
			require.NoError(t, bson.Unmarshal(doc, &got))
			require.Empty(t, cmp.Diff(tt.want, got))
			require.True(t, doc.Index(0).Value().Equal(id))
		})
	}
}

func TestDocumentRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ id, idField, value, want string }{
		"no JSON":             {id: idEvent, value: `{"a":`, want: "not JSON"},
		"rubbish behind":      {id: idEvent, value: `{"a":1} x`, want: "not JSON"},
		"two objects":         {id: idEvent, value: `{"a":1}{"b":2}`, want: "not JSON"},
		"no UTF-8":            {id: idEvent, value: "{\"a\":\"\xff\"}", want: "not JSON in UTF-8"},
		"null":                {id: idEvent, value: `null`, want: "not a document"},
		"array":               {id: idEvent, value: `[{"a":1}]`, want: "not a document"},
		"bad date":            {id: idEvent, value: `{"a":{"$date":"soon"}}`, want: "not a document"},
		"number out of range": {id: idEvent, value: `{"a":1e400}`, want: "not a document"},
		"zero byte in name":   {id: idEvent, value: `{"a\u0000b":1}`, want: "not a document"},
		"operator":            {id: idEvent, value: `{"$set":{"a":1}}`, want: `field "$set"`},
		"unwanted _id":        {id: idEvent, value: `{"_id":1}`, want: "document has an _id"},
		"_id beside field":    {id: idField, idField: "a", value: `{"_id":1,"a":2}`, want: "document has an _id"},
		"no key":              {id: idKey, value: `{}`, want: "no routing key"},
		"no field":            {id: idField, idField: "a", value: `{"b":1}`, want: "in the document 0 times"},
		"field twice":         {id: idField, idField: "_id", value: `{"_id":1,"_id":2}`, want: "in the document 2 times"},
		"null as _id":         {id: idField, idField: "a", value: `{"a":null}`, want: "cannot be an _id"},
		"array as _id":        {id: idField, idField: "a", value: `{"a":[1]}`, want: "cannot be an _id"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := settings("")
			c.ID = tt.id
			if tt.idField != "" {
				c.IDField = tt.idField
			}
			_, err := c.operation(0, connect.Record{Value: []byte(tt.value)})
			require.ErrorContains(t, err, tt.want)
			require.ErrorIs(t, err, connect.ErrRejected)
		})
	}
}

func TestEqualIDsGroupTogether(t *testing.T) {
	t.Parallel()
	value := func(v any) bson.RawValue {
		doc, err := bson.Marshal(bson.D{{Key: "v", Value: v}})
		require.NoError(t, err)
		return bson.Raw(doc).Lookup("v")
	}
	one, err := bson.ParseDecimal128("1.00")
	require.NoError(t, err)
	for _, same := range []any{int64(1), 1.0, one} {
		require.Equal(t, idText(value(int32(1))), idText(value(same)), "%T", same)
	}
	require.Equal(t, idText(value(0.0)), idText(value(math.Copysign(0, -1))))
	for _, other := range []any{int32(2), "1", true, bson.D{{Key: "a", Value: 1}}, bson.ObjectID{}, math.NaN()} {
		require.NotEqual(t, idText(value(int32(1))), idText(value(other)), "%v", other)
	}
}

func TestBulksStayBelowOneMessage(t *testing.T) {
	t.Parallel()
	ops := make([]operation, 100)
	for i := range ops {
		ops[i] = operation{record: i, collection: "c", id: strings.Repeat("x", i), bytes: 1 << 20}
	}
	bulks := group(ops)
	require.Len(t, bulks, 4)
	var order []int
	for _, b := range bulks {
		require.LessOrEqual(t, b.bytes, maxBulkBytes)
		for _, op := range b.ops {
			order = append(order, op.record)
		}
	}
	require.Len(t, order, 100)
	require.IsIncreasing(t, order)

	many := make([]operation, maxBulkOperations+1)
	for i := range many {
		many[i] = operation{collection: "c", id: string(rune(i))}
	}
	require.Len(t, group(many), 2)
}

// FuzzDocument decodes foreign bytes: what is not refused is a valid document that no server takes for an operator.
func FuzzDocument(f *testing.F) {
	for _, value := range []string{
		`{"a":1}`, `{"a":{"$date":"2024-05-01T12:00:00Z"}}`, `{"_id":{"$oid":"507f1f77bcf86cd799439011"}}`, `{"$set":{}}`, `{"a":[{"b":null}]}`,
		`{"a":{"$numberDecimal":"1E+6144"}}`, `{"a":{"$binary":{"base64":"AA==","subType":"00"}}}`, `{"a":{"$regularExpression":{"pattern":"x","options":"i"}}}`,
		`{"a\u0000":1}`, `{"a":"\u0000\ud800"}`, `{"_danube":{},"_danube":[]}`, `{"a":{"$code":"x","$scope":{"y":1}}}`, `{"a":{"$timestamp":{"t":1,"i":2}}}`,
		`{"a":{"$dbPointer":{"$ref":"b","$id":{"$oid":"507f1f77bcf86cd799439011"}}}}`, `{"a":{"$minKey":1},"b":{"$maxKey":1},"c":{"$undefined":true},"d":{"$symbol":"s"}}`,
	} {
		f.Add([]byte(value), true)
		f.Add([]byte(value), false)
	}
	f.Fuzz(func(t *testing.T, value []byte, byField bool) {
		c := settings("")
		c.Mode, c.IncludeMetadata = modeReplace, true
		if byField {
			c.ID = idField
		}
		op, err := c.operation(0, connect.Record{Topic: "/default/events", Value: value})
		if err != nil {
			require.ErrorIs(t, err, connect.ErrRejected)
			return
		}
		require.NotEmpty(t, op.id)
		doc, id, err := c.document(connect.Record{Topic: "/default/events", Value: value})
		require.NoError(t, err)
		require.NoError(t, doc.Validate())
		require.NoError(t, id.Validate())
		elements, err := doc.Elements()
		require.NoError(t, err)
		require.Equal(t, "_id", elements[0].Key())
		for _, e := range elements[1:] {
			require.NotEqual(t, "_id", e.Key())
			require.False(t, strings.HasPrefix(e.Key(), "$"))
		}
		require.Equal(t, metadataField, elements[len(elements)-1].Key())
		require.NoError(t, bson.Unmarshal(doc, new(bson.D)))
		var object map[string]any
		require.NoError(t, json.Unmarshal(value, &object), "only JSON objects are documents")
	})
}
