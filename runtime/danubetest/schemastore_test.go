package danubetest_test

import (
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

func (c *client) deleteVersion(subject string, version uint32) {
	c.t.Helper()
	_, err := c.DeleteSchemaVersion(c.ctx, &schemapb.DeleteSchemaVersionRequest{Subject: subject, Version: version})
	require.NoError(c.t, err)
}

// registryOf is all that clients can read of the registry.
func (c *client) registryOf() (all []proto.Message) {
	c.t.Helper()
	subjects, err := c.ListSubjects(c.ctx, &schemapb.ListSubjectsRequest{})
	require.NoError(c.t, err)
	all = append(all, subjects)
	for _, s := range subjects.GetSubjects() {
		all = append(all, c.latest(s.GetSubject()))
		versions, err := c.ListVersions(c.ctx, &schemapb.ListVersionsRequest{Subject: s.GetSubject()})
		require.NoError(c.t, err)
		all = append(all, versions)
		for _, v := range versions.GetVersions() {
			schema, err := c.getSchema(v.GetSchemaId(), v.GetVersion())
			require.NoError(c.t, err)
			all = append(all, schema)
		}
	}
	return all
}

// fillRegistry registers six subjects, among them one of three versions, the second of which is deleted.
func (c *client) fillRegistry() {
	c.t.Helper()
	c.register("user", "json_schema", userV1)
	c.register("text", "string", "")
	time.Sleep(time.Minute)
	c.register("user", "json_schema", userV2)
	c.register("user", "json_schema", userV3)
	c.register("record", "avro", `{"type":"record","name":"r","fields":[]}`)
	c.register("proto", "proto", "message A {}")
	c.register("free", "avro", `"int"`)
	c.setMode("free", "none")
	c.deleteVersion("user", 2)
	c.deleteVersion("free", 1)
	c.register("last", "string", "")
}

func TestDataDirKeepsTheSchemaRegistry(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]bool{"closed": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			left, outer := dir, t
			var before []proto.Message
			life(t, dir, func(t *testing.T, c *client) {
				c.fillRegistry()
				if kill {
					left = killed(outer, dir) // what was answered is there at once
				}
				before = c.registryOf()
			})
			life(t, left, func(t *testing.T, c *client) {
				require.Empty(t, cmp.Diff(before, c.registryOf(), protocmp.Transform()))
				_, err := c.getSchema(1, 2)
				requireStatus(t, err, codes.NotFound, "ID 1 version 2")
				again := c.register("user", "json_schema", userV2)
				require.Equal(t, uint32(2), again.GetVersion(), "a deleted definition still is known")
				require.False(t, again.GetIsNewVersion())
				_, err = c.tryRegister("user", "json_schema", `{"type":"object","properties":{"new":{"type":"integer"}},"required":["new"]}`)
				requireStatus(t, err, codes.Internal, "not backward compatible with version 3 of subject user")
				require.Equal(t, uint32(2), c.register("free", "string", "").GetVersion(), "its mode is none")
				require.Equal(t, uint64(7), c.register("next", "string", "").GetSchemaId(), "ids go on")
			})
			life(t, left, func(t *testing.T, c *client) {
				require.Equal(t, uint64(7), c.latest("next").GetSchemaId())
				require.Equal(t, "string", c.latest("free").GetSchemaType())
			})
		})
	}
}

func TestDataDirKeepsTheSchemasOfTopics(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left, outer := "", t
	const created, chosen, warned = "/default/created", "/default/chosen", "/default/warned"
	config := func(t *testing.T, c *client, topic string) []any {
		got, err := c.GetTopicSchemaConfig(c.ctx, &schemapb.GetTopicSchemaConfigRequest{TopicName: topic})
		require.NoError(t, err)
		return []any{got.GetSchemaSubject(), got.GetValidationPolicy(), got.GetEnablePayloadValidation()}
	}
	life(t, dir, func(t *testing.T, c *client) {
		c.register("user", "json_schema", userV1)
		for _, topic := range []string{orders, warned} {
			c.producer(topic, "p", reliable)
			_, err := c.ConfigureTopicSchema(c.ctx, &schemapb.ConfigureTopicSchemaRequest{
				TopicName: topic, SchemaSubject: "user", ValidationPolicy: "enforce", EnablePayloadValidation: true,
			})
			require.NoError(t, err)
		}
		_, err := c.topics.CreateTopic(c.ctx, &adminpb.NewTopicRequest{
			Name: created, DispatchStrategy: adminpb.DispatchStrategy_NonReliable, SchemaSubject: proto.String("user"),
		})
		require.NoError(t, err)
		_, err = c.CreateProducer(c.ctx, &danubepb.ProducerRequest{
			ProducerName: "p", TopicName: chosen, DispatchStrategy: reliable,
			SchemaRef: &danubepb.SchemaReference{Subject: "user", VersionRef: &danubepb.SchemaReference_UseLatest{UseLatest: true}},
		})
		require.NoError(t, err)
		require.Equal(t, []any{"user", "warn", false}, config(t, c, chosen))
		_, err = c.UpdateTopicValidationPolicy(c.ctx, &schemapb.UpdateTopicValidationPolicyRequest{TopicName: warned, ValidationPolicy: "warn"})
		require.NoError(t, err)
		left = killed(outer, dir)
	})
	life(t, left, func(t *testing.T, c *client) {
		require.Equal(t, []any{"user", "enforce", true}, config(t, c, orders))
		require.Equal(t, []any{"user", "warn", false}, config(t, c, warned))
		require.Equal(t, []any{"user", "warn", false}, config(t, c, created))
		require.Equal(t, []any{"", "warn", false}, config(t, c, chosen), "what a producer chose is forgotten, as by the restart of a real broker")
		p := c.producer(orders, "p", reliable)
		_, err := c.SendMessage(c.ctx, p.message("m000"))
		requireStatus(t, err, codes.PermissionDenied, "has no schema_id and topic /default/orders enforces schema subject user")
	})
}

func TestDataDirForgetsSchemasOnDemand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left, outer := "", t
	life(t, dir, func(t *testing.T, c *client) {
		c.fillRegistry()
		c.broker.Restart(false)
		time.Sleep(10 * time.Second) // the client connects again
		require.Len(t, c.registryOf(), 1, "the empty list of subjects")
		left = killed(outer, dir)
	})
	life(t, left, func(t *testing.T, c *client) {
		require.Len(t, c.registryOf(), 1, "the empty list of subjects")
		require.Equal(t, uint64(1), c.register("new", "string", "").GetSchemaId())
	})
	life(t, left, func(t *testing.T, c *client) { require.Equal(t, "new", c.latest("new").GetSubject()) })
}

// The memory that schemas take is charged again after a restart.
func TestDataDirChargesSchemas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := []danubetest.Option{danubetest.Memory(10 << 10)}
	life(t, dir, func(_ *testing.T, c *client) { c.register("a", "string", "") }, opts...)
	life(t, dir, func(t *testing.T, c *client) {
		c.register("b", "string", "")
		_, err := c.tryRegister("c", "string", "")
		requireStatus(t, err, codes.ResourceExhausted, "memory of this broker")
	}, opts...)
}
