package danubetest_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

func (c *client) configure(subject, policy string, payloads bool) error {
	_, err := c.ConfigureTopicSchema(c.ctx, &schemapb.ConfigureTopicSchemaRequest{
		TopicName: orders, SchemaSubject: subject, ValidationPolicy: policy, EnablePayloadValidation: payloads,
	})
	return err
}

func (c *client) updatePolicy(policy string, payloads bool) error {
	_, err := c.UpdateTopicValidationPolicy(c.ctx, &schemapb.UpdateTopicValidationPolicyRequest{
		TopicName: orders, ValidationPolicy: policy, EnablePayloadValidation: payloads,
	})
	return err
}

// requireConfig checks what GetTopicSchemaConfig answers.
func (c *client) requireConfig(want *schemapb.GetTopicSchemaConfigResponse) {
	c.t.Helper()
	got, err := c.GetTopicSchemaConfig(c.ctx, &schemapb.GetTopicSchemaConfigRequest{TopicName: orders})
	require.NoError(c.t, err)
	require.Empty(c.t, cmp.Diff(want, got, protocmp.Transform()))
}

// sendAs publishes a message that names a schema, none if id is 0.
func (s *sender) sendAs(id uint64, version uint32, payload string) error {
	m := s.message(payload)
	if id != 0 {
		m.SchemaId = proto.Uint64(id)
	}
	if version != 0 {
		m.SchemaVersion = proto.Uint32(version)
	}
	_, err := s.c.SendMessage(s.c.ctx, m)
	return err
}

func TestTopicSchemaConfig(t *testing.T) {
	t.Parallel()
	c := start(t)
	const elsewhere = "not found on this broker"
	_, err := c.GetTopicSchemaConfig(c.ctx, &schemapb.GetTopicSchemaConfigRequest{TopicName: orders})
	requireStatus(t, err, codes.NotFound, elsewhere)
	requireStatus(t, c.configure("user", "warn", false), codes.NotFound, elsewhere)
	requireStatus(t, c.updatePolicy("warn", false), codes.NotFound, elsewhere)
	p := c.producer(orders, "p", reliable)
	c.requireConfig(&schemapb.GetTopicSchemaConfigResponse{ValidationPolicy: "warn"})

	requireStatus(t, c.configure("user", "warn", false), codes.NotFound, "Subject not found: user")
	requireStatus(t, c.configure("user", "strict", false), codes.InvalidArgument, `Invalid validation policy "strict"`)
	requireStatus(t, c.updatePolicy("", false), codes.InvalidArgument, "the policies are none, warn and enforce")
	requireStatus(t, c.updatePolicy("enforce", true), codes.FailedPrecondition, "has no schema subject")
	c.requireConfig(&schemapb.GetTopicSchemaConfigResponse{ValidationPolicy: "enforce", EnablePayloadValidation: true})
	requireStatus(t, p.sendAs(0, 0, "x"), codes.PermissionDenied, "Unable to publish the message: topic /default/orders enforces schemas and has no schema subject")

	c.register("user", "json_schema", userV1)
	c.register("other", "string", "")
	require.NoError(t, c.configure("user", "enforce", true))
	// The id stays 0 although the subject has one.
	c.requireConfig(&schemapb.GetTopicSchemaConfigResponse{SchemaSubject: "user", ValidationPolicy: "enforce", EnablePayloadValidation: true})
	_, err = c.createWith(orders, "q", "other")
	requireStatus(t, err, codes.FailedPrecondition, "cannot use")
	require.NoError(t, c.configure("other", "none", false), "an administrator may change the subject")
	require.NoError(t, c.updatePolicy("warn", true))
	c.broker.Restart(true)
	require.NoError(t, settled(func() error { _, err := c.createWith(orders, "q", "other"); return err }))
	c.requireConfig(&schemapb.GetTopicSchemaConfigResponse{SchemaSubject: "other", ValidationPolicy: "warn", EnablePayloadValidation: true})
}

func TestTopicPolicyOfAProducersSubjectEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.producer(orders, "p", reliable)
	requireStatus(t, c.updatePolicy("enforce", true), codes.FailedPrecondition, "has no schema subject")
	c.broker.Restart(true)
	require.NoError(t, settled(func() error {
		_, err := c.GetTopicSchemaConfig(c.ctx, &schemapb.GetTopicSchemaConfigRequest{TopicName: orders})
		return err
	}))
	c.requireConfig(&schemapb.GetTopicSchemaConfigResponse{ValidationPolicy: "warn"})
}

func TestDB34PayloadsAreNotLookedAtByDefault(t *testing.T) {
	t.Parallel()
	c := start(t)
	id := c.register("event", "avro", `{"type":"record","name":"e","fields":[{"name":"a","type":"int"}]}`).GetSchemaId()
	p, err := c.createWith(orders, "p", "event")
	require.NoError(t, err)
	require.NoError(t, p.sendAs(id, 1, `{"a":1}`))
	require.NoError(t, p.sendAs(0, 0, `{"a":1}`))
}

// TestTopicPolicies is the table of policies, row by row.
func TestTopicPolicies(t *testing.T) {
	t.Parallel()
	c := start(t)
	user := c.register("user", "json_schema", userV1).GetSchemaId()
	c.register("user", "json_schema", userV2)
	other := c.register("other", "string", "").GetSchemaId()
	p := c.producer(orders, "p", reliable)
	const fine, wrong, unknown = `{"id":1}`, `{"id":"x"}`, 99
	type send struct {
		id      uint64
		version uint32
		payload string
		want    string // part of the rejection, empty for none
	}
	for _, tt := range []struct {
		policy   string
		payloads bool
		sends    []send
	}{
		{"none", true, []send{{0, 0, wrong, ""}, {unknown, 0, wrong, ""}, {other, 1, "\xff", ""}, {user, 1, wrong, ""}}},
		{"warn", false, []send{
			{0, 0, wrong, ""}, {other, 1, "\xff", ""}, {user, 1, wrong, ""},
			{unknown, 1, fine, "schema_id 99 is not registered"},
			{user, 9, fine, "has no version 9"},
		}},
		{"warn", true, []send{
			{0, 0, wrong, ""}, {user, 0, fine, ""}, {user, 2, fine, ""}, {other, 1, "x", ""},
			{unknown, 1, fine, "schema_id 99 is not registered"},
			{user, 1, wrong, "schema user version 1: at '/id': got string, want integer"},
			{user, 2, `{"id":1,"name":2}`, "schema user version 2: at '/name'"},
			{other, 1, "\xff", "schema other version 1: payload is not UTF-8 text"},
		}},
		{"enforce", false, []send{
			{user, 1, wrong, ""}, {user, 0, fine, ""},
			{0, 0, fine, "message has no schema_id"},
			{unknown, 1, fine, "schema_id 99 is not registered"},
			{other, 1, fine, "is of subject other and topic /default/orders enforces subject user"},
		}},
		{"enforce", true, []send{{user, 1, fine, ""}, {user, 1, wrong, "schema user version 1"}}},
	} {
		require.NoError(t, c.configure("user", tt.policy, tt.payloads))
		for _, s := range tt.sends {
			before := c.broker.Published(orders)
			err := p.sendAs(s.id, s.version, s.payload)
			if s.want == "" {
				require.NoError(t, err, "%s %t: %+v", tt.policy, tt.payloads, s)
				continue
			}
			requireStatus(t, err, codes.PermissionDenied, "Unable to publish the message: ")
			require.ErrorContains(t, err, s.want)
			require.Equal(t, before, c.broker.Published(orders))
		}
	}
}

func TestTopicPolicyWithoutASubjectChecksNothing(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := c.producer(orders, "p", reliable)
	require.NoError(t, p.sendAs(99, 1, "x"))
	requireStatus(t, c.updatePolicy("warn", true), codes.FailedPrecondition, "has no schema subject")
	require.NoError(t, p.sendAs(99, 1, "x"))
}

func TestTopicPayloadsOfEachType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind, definition string
		fine, wrong      string
	}{
		{"string", "", "text", "\xff"},
		{"number", "", "12345678", "123"},
		{"json_schema", userV1, `{"id":1}`, `{}`},
		{"avro", `"int"`, "Obj\x01\x02\x16avro.schema\x0a\"int\"\x00" + "0123456789abcdef" + "\x02\x02\x04" + "0123456789abcdef", "\x04"},
	} {
		c := start(t)
		id := c.register("s", tt.kind, tt.definition).GetSchemaId()
		p := c.producer(orders, "p", reliable)
		require.NoError(t, c.configure("s", "enforce", true))
		require.NoError(t, p.sendAs(id, 1, tt.fine))
		requireStatus(t, p.sendAs(id, 1, tt.wrong), codes.PermissionDenied, "Unable to publish the message: schema s version 1: ")
	}
	c := start(t)
	blob, message := c.register("blob", "bytes", "").GetSchemaId(), c.register("message", "protobuf", "message A {}").GetSchemaId()
	p := c.producer(orders, "p", reliable)
	require.NoError(t, c.configure("blob", "enforce", true))
	require.NoError(t, p.sendAs(blob, 1, "\xff\x00"))
	require.NoError(t, c.configure("message", "enforce", true))
	requireStatus(t, p.sendAs(message, 1, ""), codes.InvalidArgument, "payloads of protobuf schemas cannot be validated; switch payload validation off")
	require.NoError(t, c.configure("message", "enforce", false))
	require.NoError(t, p.sendAs(message, 1, ""))
}

func TestTopicPolicyWarnsOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := start(t, danubetest.Logger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	c.register("user", "json_schema", userV1)
	p, err := c.createWith(orders, "p", "user")
	require.NoError(t, err)
	p.send("m000", "m001", "m002")
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), `why="it has no schema_id"`)
}

// The policy of the topic that a message names goes before the question whose producer it is.
func TestTopicPolicyBeforeAttachment(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.register("user", "json_schema", userV1)
	c.producer(orders, "p", reliable)
	require.NoError(t, c.configure("user", "enforce", false))
	stranger := c.producer(ticks, "p", nonReliable)
	m := stranger.message("x")
	m.MsgId = &danubepb.MsgID{ProducerId: stranger.id, TopicName: orders}
	_, err := c.SendMessage(c.ctx, m)
	requireStatus(t, err, codes.PermissionDenied, "message has no schema_id")
}
