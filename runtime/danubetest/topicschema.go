package danubetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/schema"
)

// Validation policies of topics.
const (
	policyNone    = "none"    // nothing is checked
	policyWarn    = "warn"    // the default: see topicSchema.check
	policyEnforce = "enforce" // messages must have a schema of the topic's subject
)

// A topicSchema says which schema the messages of a topic should have. A topic without one has the policy warn and no subject. It is
// replaced and never changed, but for warned.
type topicSchema struct {
	subject  string // empty for none
	policy   string
	payloads bool // payloads are validated too
	stored   bool // set by an administrator: it outlives a restart, which one that a producer chose does not

	warned atomic.Bool // the log tells once of messages that are accepted in spite of their schema
}

// currentSchema is the topic's schema, never nil and not to be changed.
func (t *topic) currentSchema() *topicSchema {
	if s := t.schema.Load(); s != nil {
		return s
	}
	return &topicSchema{policy: policyWarn}
}

// useSubject makes a subject the topic's, unless it has another one; stored says whether it is so beyond a restart.
func (t *topic) useSubject(name string, stored bool) error {
	if name == "" {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	current := t.currentSchema()
	switch current.subject {
	case name:
	case "":
		t.schema.Store(&topicSchema{subject: name, policy: current.policy, payloads: current.payloads, stored: stored})
		t.broker.disk.touch(t)
	default:
		return status.Errorf(codes.FailedPrecondition, "topic %s is configured with schema subject %s, cannot use subject %s",
			t.name, current.subject, name)
	}
	return nil
}

// forgetSchema does what a restart does to the topic's schema. The topic is locked.
func (t *topic) forgetSchema() {
	if !t.currentSchema().stored {
		t.schema.Store(nil)
	}
}

// errUnknownSubject says that a subject has to be registered, with the code of the call.
func errUnknownSubject(code codes.Code, name string) error {
	return status.Errorf(code, "schema subject %s not found in registry. Ensure schema is registered first", name)
}

// admit says why the topic does not take m because of its schema, as the status that SendMessage answers.
func (t *topic) admit(m *danubepb.StreamMessage) error {
	s := t.schema.Load()
	if s == nil {
		return nil
	}
	err := s.check(t, m)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, schema.ErrProtobufPayload) && t.broker.settings.traps.has(trapResets):
		return errReset
	case errors.Is(err, schema.ErrProtobufPayload):
		// The real broker crashes the call here, so a client that gets this has to be mended.
		return status.Errorf(codes.InvalidArgument, "Unable to publish the message: %v; switch payload validation off for topic %s", err, t.name)
	}
	return status.Errorf(codes.PermissionDenied, "Unable to publish the message: %v", err)
}

// check applies the policy. Under warn a message without a schema or of another subject is accepted, but not one with an unknown
// schema, and with payload validation none whose payload is not what its schema says.
func (s *topicSchema) check(t *topic, m *danubepb.StreamMessage) error {
	enforced := s.policy == policyEnforce
	switch {
	case s.policy == policyNone:
		return nil
	case s.subject == "" && enforced:
		return fmt.Errorf("topic %s enforces schemas and has no schema subject", t.name)
	case s.subject == "":
		return nil
	case m.SchemaId == nil && enforced:
		return fmt.Errorf("message has no schema_id and topic %s enforces schema subject %s", t.name, s.subject)
	case m.SchemaId == nil:
		s.warn(t, m, "it has no schema_id")
		return nil
	}
	used, version, err := t.broker.schemas.find(m)
	if err != nil {
		return err
	}
	if used != s.subject {
		if enforced {
			return fmt.Errorf("schema %d is of subject %s and topic %s enforces subject %s", m.GetSchemaId(), used, t.name, s.subject)
		}
		s.warn(t, m, "its schema is of subject "+used)
	}
	if !s.payloads {
		return nil
	}
	if err := version.Validate(m.GetPayload()); err != nil {
		return fmt.Errorf("schema %s version %d: %w", used, max(m.GetSchemaVersion(), 1), err)
	}
	return nil
}

// warn tells that m is accepted although its schema is not the topic's; only the first of such messages is logged.
func (s *topicSchema) warn(t *topic, m *danubepb.StreamMessage, why string) {
	if s.warned.CompareAndSwap(false, true) {
		t.broker.log.Warn("message does not have the schema of its topic; it is accepted and later ones are not told of",
			"topic", t.name, "subject", s.subject, "producer", m.GetProducerName(), "why", why)
	}
}

// find is the subject and the version that a message names; without a version it is the first.
func (r *schemas) find(m *danubepb.StreamMessage) (name string, version *schema.Schema, err error) {
	number := max(m.GetSchemaVersion(), 1)
	r.withID(m.GetSchemaId(), func(s *subject) {
		if name = s.name; s.version(number) != nil {
			version = s.version(number).schema
		}
	})
	switch {
	case name == "":
		err = fmt.Errorf("schema_id %d is not registered", m.GetSchemaId())
	case version == nil:
		err = fmt.Errorf("schema_id %d, subject %s, has no version %d", m.GetSchemaId(), name, number)
	}
	return name, version, err
}

// configured finds the topic whose schema is to be read or changed, if policy is one; an empty policy is only right for reading.
func (a schemaRegistry) configured(topic string, policy *string) (*topic, error) {
	t := a.broker.topic(topic)
	if t == nil {
		return nil, status.Errorf(codes.NotFound, "Topic %s not found on this broker", topic)
	}
	if policy == nil || *policy == policyNone || *policy == policyWarn || *policy == policyEnforce {
		return t, nil
	}
	return nil, status.Errorf(codes.InvalidArgument, "Invalid validation policy %q; the policies are none, warn and enforce", *policy)
}

func (a schemaRegistry) ConfigureTopicSchema(_ context.Context, req *schemapb.ConfigureTopicSchemaRequest) (*schemapb.ConfigureTopicSchemaResponse, error) {
	t, err := a.configured(req.GetTopicName(), &req.ValidationPolicy)
	if err != nil {
		return nil, err
	}
	if !a.broker.schemas.known(req.GetSchemaSubject()) {
		return nil, errNoSubject(req.GetSchemaSubject())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.schema.Store(&topicSchema{
		subject: req.GetSchemaSubject(), policy: req.GetValidationPolicy(), payloads: req.GetEnablePayloadValidation(), stored: true,
	})
	t.broker.disk.touch(t)
	return &schemapb.ConfigureTopicSchemaResponse{
		Success: true,
		Message: fmt.Sprintf("Topic %s has schema subject %s", t.name, req.GetSchemaSubject()),
	}, nil
}

// UpdateTopicValidationPolicy fails on a topic without a subject, whose policy changes until the next restart all the same.
func (a schemaRegistry) UpdateTopicValidationPolicy(_ context.Context, req *schemapb.UpdateTopicValidationPolicyRequest) (*schemapb.UpdateTopicValidationPolicyResponse, error) {
	t, err := a.configured(req.GetTopicName(), &req.ValidationPolicy)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	subject := t.currentSchema().subject
	t.schema.Store(&topicSchema{
		subject: subject, policy: req.GetValidationPolicy(), payloads: req.GetEnablePayloadValidation(), stored: subject != "",
	})
	t.broker.disk.touch(t)
	if subject == "" {
		return nil, status.Errorf(codes.FailedPrecondition, "Topic %s has no schema subject; configure one first", t.name)
	}
	return &schemapb.UpdateTopicValidationPolicyResponse{
		Success: true,
		Message: fmt.Sprintf("Validation policy of topic %s is %s", t.name, req.GetValidationPolicy()),
	}, nil
}

// GetTopicSchemaConfig leaves schema_id 0, as the real broker does: clients must not rely on it.
func (a schemaRegistry) GetTopicSchemaConfig(_ context.Context, req *schemapb.GetTopicSchemaConfigRequest) (*schemapb.GetTopicSchemaConfigResponse, error) {
	t, err := a.configured(req.GetTopicName(), nil)
	if err != nil {
		return nil, err
	}
	s := t.currentSchema()
	return &schemapb.GetTopicSchemaConfigResponse{
		SchemaSubject: s.subject, ValidationPolicy: s.policy, EnablePayloadValidation: s.payloads,
	}, nil
}

// describeSchema adds what DescribeTopic tells of the topic's schema, which is the latest version of its subject.
func (t *topic) describeSchema(resp *adminpb.DescribeTopicResponse) {
	t.broker.schemas.with(t.currentSchema().subject, func(s *subject) {
		resp.SchemaSubject = proto.String(s.name)
		resp.SchemaId = proto.Uint64(s.id)
		resp.SchemaVersion = proto.Uint32(s.latest().number)
		resp.SchemaType = proto.String(string(s.latest().schema.Kind()))
		resp.CompatibilityMode = proto.String(strings.ToUpper(string(s.mode)))
	})
}
