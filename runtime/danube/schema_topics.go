package danube

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
)

// A TopicSchema says which schema the messages of a topic should have, and what becomes of the others.
type TopicSchema struct {
	Subject string // empty for none
	Policy  ValidationPolicy
	// Payloads lets the broker compare payloads with their schema. The real broker compares with the first version of a schema that it has
	// seen, takes only container files for Avro, and fails every publish with a protobuf schema.
	Payloads bool
}

// ConfigureTopic sets the schema of a topic, or of all partitions that it has now, beyond restarts of the broker. The subject must be
// registered; [ErrNotFound] tells that it or the topic is missing. A failure may leave some partitions changed: call it again.
func (s Schemas) ConfigureTopic(ctx context.Context, topic string, schema TopicSchema) error {
	return s.eachPartition(ctx, task{opSetTopicSchema, topic}, func(ctx context.Context, t task, broker schemapb.SchemaRegistryClient) error {
		resp, err := ask(ctx, t, broker.ConfigureTopicSchema, &schemapb.ConfigureTopicSchemaRequest{
			TopicName: t.what, SchemaSubject: schema.Subject, ValidationPolicy: string(schema.Policy), EnablePayloadValidation: schema.Payloads,
		})
		return t.done(resp, err)
	})
}

// SetTopicPolicy changes what a topic, or all partitions that it has now, do with messages that have another schema. On a topic without
// subject it fails, and yet the policy holds until the broker restarts.
func (s Schemas) SetTopicPolicy(ctx context.Context, topic string, policy ValidationPolicy, payloads bool) error {
	return s.eachPartition(ctx, task{opSetTopicSchema, topic}, func(ctx context.Context, t task, broker schemapb.SchemaRegistryClient) error {
		resp, err := ask(ctx, t, broker.UpdateTopicValidationPolicy, &schemapb.UpdateTopicValidationPolicyRequest{
			TopicName: t.what, ValidationPolicy: string(policy), EnablePayloadValidation: payloads,
		})
		return t.done(resp, err)
	})
}

// Topic reads the schema of a topic. Partitions may differ, for example one that was added later; that is an error which names two of them.
// The broker's answer has an id of the schema that is always 0 and is not passed on: ask [Schemas.Latest] for the subject.
func (s Schemas) Topic(ctx context.Context, topic string) (TopicSchema, error) {
	var got same[TopicSchema]
	err := s.eachPartition(ctx, task{opTopicSchema, topic}, func(ctx context.Context, t task, broker schemapb.SchemaRegistryClient) error {
		resp, err := ask(ctx, t, broker.GetTopicSchemaConfig, &schemapb.GetTopicSchemaConfigRequest{TopicName: t.what})
		if err != nil {
			return err
		}
		policy := ValidationPolicy(resp.GetValidationPolicy())
		return got.add(t, TopicSchema{Subject: resp.GetSchemaSubject(), Policy: policy, Payloads: resp.GetEnablePayloadValidation()})
	})
	return got.value, err
}

// eachPartition calls f for a topic, or for each of its partitions in order, with the registry of the broker that has it loaded: no other one
// knows its schema. It ends at the first error.
func (s Schemas) eachPartition(ctx context.Context, t task, f func(context.Context, task, schemapb.SchemaRegistryClient) error) error {
	if !topicForm.MatchString(t.what) {
		return t.refuse(codes.InvalidArgument, ErrName, "%v", errTopicForm(t.what))
	}
	partitions, err := s.client.partitions(ctx, t.what)
	if err != nil {
		return err
	}
	if len(partitions) == 0 {
		return t.refuse(codes.NotFound, ErrNotFound, "there is no such topic")
	}
	for _, i := range partitions {
		part := task{t.op, nameOf(t.what, i)}
		r, err := s.client.lookup(ctx, part.what)
		if err != nil {
			return err
		}
		if err := f(r.context(ctx), part, schemapb.NewSchemaRegistryClient(r.conn)); err != nil {
			return err
		}
	}
	return nil
}
