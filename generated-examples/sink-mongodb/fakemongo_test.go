package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/wiremessage"
)

// fakeMongo is a standalone server that speaks enough of MongoDB's wire protocol for this sink, and fails as told.
//
// It accepts connections in one goroutine and serves each in another; stop ends them all and waits.
type fakeMongo struct {
	listener net.Listener
	serving  sync.WaitGroup

	// What the tests set before the first write.
	unique    string                 // a field with a unique index
	validate  func(doc bson.Raw) int // error code for one document, 0 for none
	refuse    func([]bson.Raw) int   // error code for the whole command, 0 for none
	denyLogin bool                   // answers every login with AuthenticationFailed

	mu          sync.Mutex
	connections map[net.Conn]bool
	down        bool
	faults      []fault // for the coming writes, one each
	commands    []string
	collections map[string][]bson.Raw // documents by namespace, in the order of their first write
}

// A fault is what goes wrong with one insert or update command.
type fault struct {
	command int         // error code of the whole command, nothing written
	writes  map[int]int // error codes of single documents, which are not written
	concern int         // write concern error code, everything written
	cut     int         // close the connection once so many documents are written, without a reply
}

// startFakeMongo starts a server that stops with the test.
func startFakeMongo(t *testing.T) *fakeMongo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fakeMongo{listener: listener, connections: map[net.Conn]bool{}, collections: map[string][]bson.Raw{}}
	f.serving.Go(f.accept)
	t.Cleanup(f.stop)
	return f
}

// uri is the server's connection string.
func (f *fakeMongo) uri() string { return "mongodb://" + f.listener.Addr().String() }

// stop closes everything and waits for the server's goroutines.
func (f *fakeMongo) stop() {
	_ = f.listener.Close()
	f.setDown(true)
	f.serving.Wait()
}

// setDown makes the server drop its connections and close new ones at once, or serve again.
func (f *fakeMongo) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	for conn := range f.connections {
		if down {
			_ = conn.Close()
		}
	}
}

// fail plans faults for the coming write commands.
func (f *fakeMongo) fail(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// seen lists the write commands so far as "insert db.collection 3".
func (f *fakeMongo) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.commands)
}

// documents returns what a namespace holds.
func (f *fakeMongo) documents(namespace string) []bson.Raw {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.collections[namespace])
}

func (f *fakeMongo) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		if f.down {
			_ = conn.Close()
		} else {
			f.connections[conn] = true
			f.serving.Go(func() { f.serve(conn) })
		}
		f.mu.Unlock()
	}
}

func (f *fakeMongo) serve(conn net.Conn) {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.connections, conn)
		_ = conn.Close()
	}()
	for {
		reply, err := f.answer(conn)
		if err != nil {
			return
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

// answer reads one message and makes its reply.
func (f *fakeMongo) answer(conn io.Reader) ([]byte, error) {
	header := make([]byte, 16)
	if _, err := io.ReadFull(conn, header); err != nil {
		return nil, err
	}
	body := make([]byte, binary.LittleEndian.Uint32(header)-16)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	_, id, _, opcode, _, _ := wiremessage.ReadHeader(header)
	//lint:ignore SA1019 drivers still send the first hello of a connection this way
	if opcode == wiremessage.OpQuery {
		start, b := wiremessage.AppendHeaderStart(nil, 0, id, wiremessage.OpReply)
		b = wiremessage.AppendReplyFlags(b, 0)
		b = wiremessage.AppendReplyCursorID(b, 0)
		b = wiremessage.AppendReplyStartingFrom(b, 0)
		b = wiremessage.AppendReplyNumberReturned(b, 1)
		b = append(b, encode(hello())...)
		return bsoncore.UpdateLength(b, start, int32(len(b))), nil
	}
	command, sequence, err := readMessage(body)
	if err != nil {
		return nil, err
	}
	result, err := f.run(command, sequence)
	if err != nil {
		return nil, err
	}
	start, b := wiremessage.AppendHeaderStart(nil, 0, id, wiremessage.OpMsg)
	b = wiremessage.AppendMsgFlags(b, 0)
	b = wiremessage.AppendMsgSectionType(b, wiremessage.SingleDocument)
	b = append(b, encode(result)...)
	return bsoncore.UpdateLength(b, start, int32(len(b))), nil
}

// readMessage takes an OP_MSG apart: the command, and the documents that came beside it.
func readMessage(body []byte) (command bson.Raw, sequence []bson.Raw, err error) {
	_, rest, ok := wiremessage.ReadMsgFlags(body)
	for ok && len(rest) > 0 {
		var kind wiremessage.SectionType
		var doc bsoncore.Document
		var docs []bsoncore.Document
		if kind, rest, ok = wiremessage.ReadMsgSectionType(rest); !ok {
			break
		}
		if kind == wiremessage.SingleDocument {
			doc, rest, ok = wiremessage.ReadMsgSectionSingleDocument(rest)
			command = bson.Raw(doc)
			continue
		}
		_, docs, rest, ok = wiremessage.ReadMsgSectionDocumentSequence(rest)
		for _, d := range docs {
			sequence = append(sequence, bson.Raw(d))
		}
	}
	if !ok || command == nil {
		return nil, nil, errors.New("malformed message")
	}
	return command, sequence, nil
}

func hello() bson.D {
	return bson.D{
		{Key: "helloOk", Value: true}, {Key: "ismaster", Value: true}, {Key: "isWritablePrimary", Value: true},
		{Key: "maxBsonObjectSize", Value: maxDocumentBytes}, {Key: "maxMessageSizeBytes", Value: 48_000_000}, {Key: "maxWriteBatchSize", Value: 100_000},
		{Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21}, {Key: "ok", Value: 1},
	}
}

// run executes a command; an error cuts the connection.
func (f *fakeMongo) run(command bson.Raw, sequence []bson.Raw) (bson.D, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := command.Index(0)
	collection, _ := first.Value().StringValueOK()
	namespace := command.Lookup("$db").StringValue() + "." + collection
	switch first.Key() {
	case "hello", "ismaster", "isMaster":
		return hello(), nil
	case "ping", "endSessions", "dropDatabase":
		return bson.D{{Key: "ok", Value: 1}}, nil
	case "saslStart":
		if f.denyLogin {
			return failure(18), nil
		}
	case "find":
		return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{
			{Key: "id", Value: int64(0)}, {Key: "ns", Value: namespace}, {Key: "firstBatch", Value: f.collections[namespace]},
		}}}, nil
	case "insert", "update":
		f.commands = append(f.commands, fmt.Sprintf("%s %s %d", first.Key(), namespace, len(sequence)))
		return f.write(namespace, command, sequence)
	}
	return failure(59), nil // CommandNotFound
}

// write runs an insert or update command.
func (f *fakeMongo) write(namespace string, command bson.Raw, sequence []bson.Raw) (bson.D, error) {
	kind := command.Index(0).Key()
	ordered := command.Lookup("ordered").Boolean()
	plan := fault{}
	if len(f.faults) > 0 {
		plan, f.faults = f.faults[0], f.faults[1:]
	}
	if plan.command == 0 && f.refuse != nil {
		plan.command = f.refuse(sequence)
	}
	if plan.command != 0 {
		return failure(plan.command), nil
	}
	result := bson.D{{Key: "ok", Value: 1}}
	var failures, upserted bson.A
	for i, doc := range sequence {
		if plan.cut > 0 && i == plan.cut {
			return nil, errors.New("cut")
		}
		problem := bson.D{{Key: "index", Value: i}, {Key: "code", Value: plan.writes[i]}, {Key: "errmsg", Value: "as planned"}}
		if plan.writes[i] == 0 {
			problem = f.store(namespace, kind, i, doc)
		}
		if problem != nil {
			failures = append(failures, problem)
			if ordered {
				break
			}
		} else if kind == "update" {
			upserted = append(upserted, bson.D{{Key: "index", Value: i}, {Key: "_id", Value: doc.Lookup("q", "_id")}})
		}
	}
	result = append(result, bson.E{Key: "n", Value: len(sequence) - len(failures)}, bson.E{Key: "nModified", Value: 0})
	if len(upserted) > 0 {
		result = append(result, bson.E{Key: "upserted", Value: upserted})
	}
	if len(failures) > 0 {
		result = append(result, bson.E{Key: "writeErrors", Value: failures})
	}
	if plan.concern != 0 {
		result = append(result, bson.E{Key: "writeConcernError", Value: bson.D{
			{Key: "code", Value: plan.concern}, {Key: "codeName", Value: "planned"}, {Key: "errmsg", Value: "waiting for replication timed out"},
		}})
	}
	return result, nil
}

// store keeps one document, or returns its write error.
func (f *fakeMongo) store(namespace, kind string, index int, doc bson.Raw) bson.D {
	upsert := false
	if kind == "update" {
		upsert = doc.Lookup("upsert").Boolean()
		doc = doc.Lookup("u").Document()
	}
	docs := f.collections[namespace]
	same := slices.IndexFunc(docs, func(d bson.Raw) bool { return d.Lookup("_id").Equal(doc.Lookup("_id")) })
	problem := func(code int, field string) bson.D {
		return bson.D{
			{Key: "index", Value: index}, {Key: "code", Value: code}, {Key: "errmsg", Value: "refused"},
			{Key: "keyPattern", Value: bson.D{{Key: field, Value: 1}}},
		}
	}
	if f.validate != nil {
		if code := f.validate(doc); code != 0 {
			return problem(code, "none")
		}
	}
	if value, err := doc.LookupErr(f.unique); err == nil && slices.ContainsFunc(docs, func(d bson.Raw) bool { return d.Lookup(f.unique).Equal(value) }) {
		return problem(11000, f.unique)
	}
	switch {
	case same >= 0 && kind == "insert":
		return problem(11000, "_id")
	case same >= 0:
		docs[same] = slices.Clone(doc)
	case kind == "insert" || upsert:
		f.collections[namespace] = append(docs, slices.Clone(doc))
	}
	return nil
}

// failure is the reply to a command that failed as a whole.
func failure(code int) bson.D {
	return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: "planned"}, {Key: "errmsg", Value: "as planned"}}
}

// encode is for documents of this file, which always have an encoding.
func encode(d bson.D) []byte {
	b, err := bson.Marshal(d)
	if err != nil {
		panic(err)
	}
	return b
}
