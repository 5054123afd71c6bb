package danubetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// Definitions that may follow each other under the mode backward.
const (
	userV1 = `{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}`
	userV2 = `{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"}},"required":["id"]}`
	userV3 = `{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"},"age":{"type":"integer"}},"required":["id"]}`
	noUser = `{"type":"object","properties":{}}` // lacks a required field
)

func (c *client) tryRegister(subject, kind, definition string) (*schemapb.RegisterSchemaResponse, error) {
	return c.RegisterSchema(c.ctx, &schemapb.RegisterSchemaRequest{
		Subject: subject, SchemaType: kind, SchemaDefinition: []byte(definition), Description: "about " + subject, CreatedBy: "test", Tags: []string{"a", "b"},
	})
}

func (c *client) register(subject, kind, definition string) *schemapb.RegisterSchemaResponse {
	c.t.Helper()
	resp, err := c.tryRegister(subject, kind, definition)
	require.NoError(c.t, err)
	return resp
}

func (c *client) latest(subject string) *schemapb.GetSchemaResponse {
	c.t.Helper()
	resp, err := c.GetLatestSchema(c.ctx, &schemapb.GetLatestSchemaRequest{Subject: subject})
	require.NoError(c.t, err)
	return resp
}

// getSchema asks for a version by id, for the latest if version is 0.
func (c *client) getSchema(id uint64, version uint32) (*schemapb.GetSchemaResponse, error) {
	req := &schemapb.GetSchemaRequest{SchemaId: id}
	if version > 0 {
		req.Version = proto.Uint32(version)
	}
	return c.GetSchema(c.ctx, req)
}

func (c *client) setMode(subject, mode string) {
	c.t.Helper()
	resp, err := c.SetCompatibilityMode(c.ctx, &schemapb.SetCompatibilityModeRequest{Subject: subject, CompatibilityMode: mode})
	require.NoError(c.t, err)
	require.True(c.t, resp.GetSuccess())
}

func TestDB30Register(t *testing.T) {
	t.Parallel()
	c := start(t)
	for i, tt := range []struct{ kind, definition, want string }{
		{"json", userV1, "json_schema"}, {"AVRO", `"string"`, "avro"}, {"string", "", "string"}, {"bytes", "", "bytes"}, {"Int64", "", "number"},
		{"proto", "message A {}", "protobuf"},
	} {
		subject := "subject-" + tt.want
		first := c.register(subject, tt.kind, tt.definition)
		require.True(t, first.GetIsNewVersion())
		require.Equal(t, uint32(1), first.GetVersion())
		require.Equal(t, uint64(i+1), first.GetSchemaId(), "ids are 1, 2, 3")
		again := c.register(subject, tt.kind, tt.definition)
		require.Empty(t, cmp.Diff(&schemapb.RegisterSchemaResponse{
			SchemaId: first.GetSchemaId(), Version: 1, Fingerprint: first.GetFingerprint(),
		}, again, protocmp.Transform()))
		require.Equal(t, tt.want, c.latest(subject).GetSchemaType())
	}
}

func TestDB30VersionsShareTheID(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, c *client) {
		born := time.Now().Unix()
		first := c.register("user", "json_schema", userV1)
		time.Sleep(time.Minute)
		second := c.register("user", "json_schema", userV2)
		require.Equal(t, first.GetSchemaId(), second.GetSchemaId())
		require.Equal(t, uint32(2), second.GetVersion())
		old := c.register("user", "json_schema", " "+userV1)
		require.Equal(t, uint32(1), old.GetVersion(), "a known definition keeps its version, however it is written")
		require.False(t, old.GetIsNewVersion())
		require.Empty(t, cmp.Diff(&schemapb.GetSchemaResponse{
			SchemaId: 1, Version: 2, Subject: "user", SchemaType: "json_schema", Description: "about user", CreatedBy: "test", Tags: []string{"a", "b"},
			SchemaDefinition: []byte(`{"JsonSchema":{"raw_schema":"` + strings.ReplaceAll(userV2, `"`, `\"`) + `","fingerprint":"` + second.GetFingerprint() + `"}}`),
			CreatedAt:        uint64(born + 60), Fingerprint: second.GetFingerprint(), CompatibilityMode: "backward",
		}, c.latest("user"), protocmp.Transform()))
		versions, err := c.ListVersions(c.ctx, &schemapb.ListVersionsRequest{Subject: "user"})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]*schemapb.SchemaVersionInfo{
			{Version: 1, CreatedAt: uint64(born), CreatedBy: "test", Description: "about user", Fingerprint: first.GetFingerprint(), SchemaId: 1},
			{Version: 2, CreatedAt: uint64(born + 60), CreatedBy: "test", Description: "about user", Fingerprint: second.GetFingerprint(), SchemaId: 1},
		}, versions.GetVersions(), protocmp.Transform()))
	})
}

func TestDB30OnTheAdminPortToo(t *testing.T) {
	t.Parallel()
	c := start(t)
	admin := schemapb.NewSchemaRegistryClient(dial(t, strings.TrimPrefix(c.broker.AdminURL(), "http://")))
	made, err := admin.RegisterSchema(c.ctx, &schemapb.RegisterSchemaRequest{Subject: "s", SchemaType: "string"})
	require.NoError(t, err)
	require.Equal(t, made.GetSchemaId(), c.latest("s").GetSchemaId())
}

func TestSchemaRegisterErrors(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.register("user", "json_schema", userV1)
	for name, tt := range map[string]struct{ subject, kind, definition, want string }{
		"unknown type":       {"x", "xml", "", `unknown schema type "xml"`},
		"invalid definition": {"x", "json_schema", "{", "invalid json_schema definition"},
		"incompatible":       {"user", "json_schema", noUser, `not backward compatible with version 1 of subject user: required field "id" was removed`},
		"another type":       {"user", "avro", `"int"`, "schema type changed from json_schema to avro"},
		"no subject":         {"", "string", "", "subject is empty"},
	} {
		_, err := c.tryRegister(tt.subject, tt.kind, tt.definition)
		requireStatus(t, err, codes.Internal, "Failed to register schema: ")
		require.ErrorContains(t, err, tt.want, name)
	}
	_, err := c.tryRegister("x", strings.Repeat("ä", 100_000), "")
	requireStatus(t, err, codes.Internal, "ä…")
	subjects, err := c.ListSubjects(c.ctx, &schemapb.ListSubjectsRequest{})
	require.NoError(t, err)
	require.Len(t, subjects.GetSubjects(), 1, "what failed left nothing behind")
}

func TestSchemaMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := start(t, danubetest.Memory(100_000))
	for i := 0; ; i++ {
		require.Less(t, i, 100)
		_, err := c.tryRegister(strings.Repeat("s", i+1), "string", "")
		if err != nil {
			requireStatus(t, err, codes.ResourceExhausted, "memory of this broker, 100000 bytes, is full")
			break
		}
		for range 20 {
			c.register("s", "string", "") // nothing new takes nothing
		}
	}
	c.broker.Restart(false)
	require.NoError(t, settled(func() error { _, err := c.tryRegister("s", "string", ""); return err }))
}

func TestSchemaNotFound(t *testing.T) {
	t.Parallel()
	c := start(t)
	id := c.register("user", "json_schema", userV1).GetSchemaId()
	_, err := c.getSchema(0, 0)
	requireStatus(t, err, codes.NotFound, "Schema not found for ID")
	_, err = c.getSchema(id+1, 0)
	requireStatus(t, err, codes.NotFound, "Schema not found for ID")
	_, err = c.getSchema(id, 2)
	requireStatus(t, err, codes.NotFound, "Schema not found for ID")
	_, err = c.GetLatestSchema(c.ctx, &schemapb.GetLatestSchemaRequest{Subject: "none"})
	requireStatus(t, err, codes.NotFound, "Schema not found for subject: none")
	_, err = c.ListVersions(c.ctx, &schemapb.ListVersionsRequest{Subject: "none"})
	requireStatus(t, err, codes.NotFound, "Subject not found")
	_, err = c.DeleteSchemaVersion(c.ctx, &schemapb.DeleteSchemaVersionRequest{Subject: "none", Version: 1})
	requireStatus(t, err, codes.NotFound, "Subject not found")
	_, err = c.DeleteSchemaVersion(c.ctx, &schemapb.DeleteSchemaVersionRequest{Subject: "user", Version: 2})
	requireStatus(t, err, codes.NotFound, "has no version 2")
}

func TestSchemaDeletedVersionIsStillTheLatest(t *testing.T) {
	t.Parallel()
	c := start(t)
	id := c.register("user", "json_schema", userV1).GetSchemaId()
	c.register("user", "json_schema", userV2)
	resp, err := c.DeleteSchemaVersion(c.ctx, &schemapb.DeleteSchemaVersionRequest{Subject: "user", Version: 2})
	require.NoError(t, err)
	require.True(t, resp.GetSuccess())

	require.Equal(t, uint32(2), c.latest("user").GetVersion())
	got, err := c.getSchema(id, 0)
	require.NoError(t, err)
	require.Equal(t, uint32(2), got.GetVersion())
	require.Equal(t, uint32(2), c.register("user", "json_schema", userV2).GetVersion(), "an equal definition is found")
	_, err = c.getSchema(id, 2)
	requireStatus(t, err, codes.NotFound, "Schema not found for ID")
	versions, err := c.ListVersions(c.ctx, &schemapb.ListVersionsRequest{Subject: "user"})
	require.NoError(t, err)
	require.Len(t, versions.GetVersions(), 1)
	require.Equal(t, uint32(3), c.register("user", "json_schema", userV3).GetVersion(), "a number is not used twice")
}

func TestDB35RegisterUnderEachMode(t *testing.T) {
	t.Parallel()
	const moreRequired = `{"type":"object","properties":{"id":{"type":"integer"},"new":{"type":"string"}},"required":["id","new"]}`
	for _, tt := range []struct {
		mode              string
		first, next       string
		registeredAndFine bool
	}{
		{"", userV1, userV2, true}, // backward is the default
		{"", userV1, noUser, false},
		{"BACKWARD", userV1, noUser, false},
		{"forward", userV2, userV1, true},
		{"forward", userV1, moreRequired, false},
		{"full", userV1, userV2, true},
		{"Full", userV1, noUser, false},
		{"full", userV1, moreRequired, false},
		{"none", userV1, `{"type":"array"}`, true},
	} {
		c := start(t)
		c.register("user", "json_schema", tt.first)
		if tt.mode != "" {
			c.setMode("user", tt.mode)
		}
		check, err := c.CheckCompatibility(c.ctx, &schemapb.CheckCompatibilityRequest{
			Subject: "user", SchemaType: "json", NewSchemaDefinition: []byte(tt.next),
		})
		require.NoError(t, err)
		require.Equal(t, tt.registeredAndFine, check.GetIsCompatible(), "%+v", tt)
		require.Equal(t, tt.registeredAndFine, len(check.GetErrors()) == 0)
		require.Equal(t, uint32(1), c.latest("user").GetVersion(), "a check registers nothing")
		_, err = c.tryRegister("user", "json_schema", tt.next)
		if !tt.registeredAndFine {
			requireStatus(t, err, codes.Internal, "Failed to register schema: schema is not "+string(c.latest("user").GetCompatibilityMode())+" compatible")
			continue
		}
		require.NoError(t, err)
	}
}

func TestDB35OnlyTheLatestVersionCounts(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.register("user", "json_schema", userV1)
	c.setMode("user", "none")
	c.register("user", "json_schema", noUser)
	c.setMode("user", "backward")
	c.register("user", "json_schema", `{"type":"object","properties":{"other":{"type":"string"}}}`)
}

func TestSchemaCheckCompatibility(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.register("user", "json_schema", userV1)
	check := func(subject, definition, mode string) (*schemapb.CheckCompatibilityResponse, error) {
		return c.CheckCompatibility(c.ctx, &schemapb.CheckCompatibilityRequest{
			Subject: subject, SchemaType: "json_schema", NewSchemaDefinition: []byte(definition), CompatibilityMode: proto.String(mode),
		})
	}
	got, err := check("user", noUser, "none")
	require.NoError(t, err)
	require.True(t, got.GetIsCompatible(), "the mode of the call goes first")
	got, err = check("user", noUser, "sideways")
	require.NoError(t, err)
	require.False(t, got.GetIsCompatible(), "a mode that is not known is ignored")
	require.Equal(t, []string{`required field "id" was removed`}, got.GetErrors())
	_, err = check("none", noUser, "none")
	requireStatus(t, err, codes.Internal, "subject none not found")
	_, err = check("user", "{", "none")
	requireStatus(t, err, codes.Internal, "invalid json_schema definition")

	_, err = c.SetCompatibilityMode(c.ctx, &schemapb.SetCompatibilityModeRequest{Subject: "user", CompatibilityMode: "sideways"})
	requireStatus(t, err, codes.InvalidArgument, `unknown compatibility mode "sideways"`)
	_, err = c.SetCompatibilityMode(c.ctx, &schemapb.SetCompatibilityModeRequest{Subject: "none", CompatibilityMode: "full"})
	requireStatus(t, err, codes.Internal, "subject none not found")
}

func TestSchemaListSubjects(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.register("b", "json", userV1)
	c.register("b", "json", userV2)
	c.register("a", "bytes", "")
	c.setMode("a", "FULL")
	got, err := c.ListSubjects(c.ctx, &schemapb.ListSubjectsRequest{})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]*schemapb.SubjectSummary{
		{Subject: "a", SchemaType: "bytes", LatestVersion: 1, CompatibilityMode: "full", SchemaId: 2, Tags: []string{"a", "b"}},
		{Subject: "b", SchemaType: "json_schema", LatestVersion: 2, CompatibilityMode: "backward", SchemaId: 1, Tags: []string{"a", "b"}},
	}, got.GetSubjects(), protocmp.Transform()))
}

// createWith asks for a producer with a schema.
func (c *client) createWith(topic, name, subject string) (*sender, error) {
	resp, err := c.CreateProducer(c.ctx, &danubepb.ProducerRequest{
		ProducerName: name, TopicName: topic, DispatchStrategy: reliable, SchemaRef: &danubepb.SchemaReference{Subject: subject},
	})
	return &sender{c: c, topic: topic, name: name, id: resp.GetProducerId()}, err
}

func TestDB31ProducersWithASchema(t *testing.T) {
	t.Parallel()
	c := start(t)
	_, err := c.createWith(orders, "p", "user")
	requireStatus(t, err, codes.FailedPrecondition, "user not found in registry. Ensure schema is registered first")
	require.Empty(t, c.broker.Topics(), "the topic is not made in vain")
	c.register("user", "json_schema", userV1)
	_, err = c.createWith(orders, "p", "user")
	require.NoError(t, err)
	c.producer(orders, "q", reliable) // without a schema
	_, err = c.createWith(orders, "r", "missing")
	requireStatus(t, err, codes.FailedPrecondition, "not found")
}

func TestDB32OneSubjectPerTopic(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.register("user", "json_schema", userV1)
	c.register("other", "string", "")
	c.producer(orders, "first", reliable) // the subject may come later
	_, err := c.createWith(orders, "p", "user")
	require.NoError(t, err)
	_, err = c.createWith(orders, "q", "other")
	requireStatus(t, err, codes.FailedPrecondition, "is configured with schema subject user, cannot use subject other")
	c.register("user", "json_schema", userV2)
	_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{
		ProducerName: "r", TopicName: orders, DispatchStrategy: reliable,
		SchemaRef: &danubepb.SchemaReference{Subject: "user", VersionRef: &danubepb.SchemaReference_PinnedVersion{PinnedVersion: 99}},
	})
	require.NoError(t, err, "versions are the client's matter")

	c.broker.Restart(true)
	require.NoError(t, settled(func() error { _, err := c.createWith(orders, "q", "other"); return err }),
		"the producers' choice lasts as long as the topic stays loaded, the registry longer")
}

func TestDB33SchemaOfAMessageArrivesUnchanged(t *testing.T) {
	t.Parallel()
	c := start(t)
	id := c.register("user", "json_schema", userV1).GetSchemaId()
	c.register("user", "json_schema", userV2)
	c.register("user", "json_schema", userV3)
	p, err := c.createWith(orders, "p", "user")
	require.NoError(t, err)
	r := c.consume(orders, "s", "c", exclusive)
	for version := uint32(1); version <= 3; version++ {
		m := p.message(`{"id":1}`)
		m.SchemaId, m.SchemaVersion = proto.Uint64(id), proto.Uint32(version)
		p.publish(m)
		got := r.next()
		require.Equal(t, id, got.GetSchemaId())
		require.Equal(t, version, got.GetSchemaVersion())
		r.ack(got)
		def, err := c.getSchema(id, version)
		require.NoError(t, err)
		require.Equal(t, version, def.GetVersion())
	}
	p.send("no schema")
	got := r.next()
	require.Nil(t, got.SchemaId)
	require.Nil(t, got.SchemaVersion)
	_, err = c.getSchema(id, 99) // what pinning version 99 meets
	requireStatus(t, err, codes.NotFound, "Schema not found for ID")
}

func TestDescribeTopicTellsItsSchema(t *testing.T) {
	t.Parallel()
	c := start(t)
	create := func(name string) error {
		_, err := c.topics.CreateTopic(c.ctx, &adminpb.NewTopicRequest{Name: name, DispatchStrategy: adminReliable, SchemaSubject: proto.String("user")})
		return err
	}
	requireStatus(t, create(orders), codes.NotFound, "not found in registry. Ensure schema is registered first")
	require.Empty(t, c.broker.Topics())
	c.register("user", "json_schema", userV1)
	c.register("user", "json_schema", userV2)
	require.NoError(t, create(orders))
	describe := func() *adminpb.DescribeTopicResponse {
		got, err := c.topics.DescribeTopic(c.ctx, &adminpb.DescribeTopicRequest{Name: orders})
		require.NoError(t, err)
		return got
	}
	require.Empty(t, cmp.Diff(&adminpb.DescribeTopicResponse{
		Name: orders, BrokerId: "1", Delivery: "Reliable", SchemaSubject: proto.String("user"), SchemaId: proto.Uint64(1), SchemaVersion: proto.Uint32(2),
		SchemaType: proto.String("json_schema"), CompatibilityMode: proto.String("BACKWARD"),
	}, describe(), protocmp.Transform()))
	c.broker.Restart(true)
	require.NoError(t, settled(func() error {
		_, err := c.topics.DescribeTopic(c.ctx, &adminpb.DescribeTopicRequest{Name: orders})
		return err
	}))
	require.Equal(t, "user", describe().GetSchemaSubject(), "what an administrator set is kept")
}
