package danube_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

const (
	orderV1 = `{"type":"object","properties":{"id":{"type":"integer"}}, "required":["id"]}`
	orderV2 = `{"type":"object","properties":{"id":{"type":"integer"},"note":{"type":"string"}}, "required":["id"]}`
	orderV3 = `{"type":"object","properties":{"id":{"type":"integer"},"n":{"type":"integer"}}, "required":["id"]}`
)

// register adds a JSON schema to the subject order.
func (l *lab) register(definition string) danube.Registration {
	l.Helper()
	r, err := l.schemas.Register(l.ctx, danube.NewSchema{Subject: "order", Type: danube.SchemaJSON, Definition: definition})
	require.NoError(l, err)
	return r
}

func TestSchemaComesBackAsItWasRegistered(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		for kind, definition := range map[danube.SchemaType]string{
			danube.SchemaJSON: orderV1, danube.SchemaAvro: `{"type":"record","name":"o","fields":[]}`, danube.SchemaProtobuf: `syntax = "proto3";`,
			danube.SchemaBytes: "", danube.SchemaString: "", danube.SchemaNumber: "",
		} {
			r, err := l.schemas.Register(l.ctx, danube.NewSchema{
				Subject: "s-" + string(kind), Type: kind, Definition: definition, Description: "d", CreatedBy: "me", Tags: []string{"a"},
			})
			require.NoError(l, err)
			require.True(l, r.New)
			want := danube.Schema{
				ID: r.ID, Version: 1, Subject: "s-" + string(kind), Type: kind, Definition: definition, Description: "d", CreatedBy: "me",
				Tags: []string{"a"}, Fingerprint: r.Fingerprint,
			}
			got, err := l.schemas.Version(l.ctx, r.ID, 1)
			require.NoError(l, err)
			notTheTime := cmpopts.IgnoreFields(danube.Schema{}, "CreatedAt")
			require.Empty(l, cmp.Diff(want, got, notTheTime))
			require.WithinDuration(l, time.Now(), got.CreatedAt, time.Second)
			want.Compatibility = danube.CompatibleBackward
			got, err = l.schemas.Latest(l.ctx, "s-"+string(kind))
			require.NoError(l, err)
			require.Empty(l, cmp.Diff(want, got, notTheTime))
		}
		subjects, err := l.schemas.Subjects(l.ctx)
		require.NoError(l, err)
		require.Len(l, subjects, 6)
		require.Equal(l, "s-avro", subjects[0].Name)
		require.Equal(l, danube.Subject{
			Name: "s-json_schema", ID: subjects[2].ID, Type: danube.SchemaJSON, LatestVersion: 1,
			Compatibility: danube.CompatibleBackward, Tags: []string{"a"},
		}, subjects[2])
	})
}

func TestT21VersionsOfASubjectShareItsID(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		first, second := l.register(orderV1), l.register(orderV2)
		require.Equal(l, first.ID, second.ID)
		for version, definition := range map[uint32]string{first.Version: orderV1, second.Version: orderV2} {
			got, err := l.schemas.Version(l.ctx, first.ID, version)
			require.NoError(l, err)
			require.Equal(l, definition, got.Definition)
			require.Equal(l, version, got.Version)
		}
		again := l.register(orderV1)
		require.False(l, again.New)
		require.Equal(l, first.Version, again.Version)
	})
}

func TestT21ADeletedVersionIsNotTheLatest(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		r := l.register(orderV1)
		l.register(orderV2)
		l.register(orderV3)
		require.NoError(l, l.schemas.DeleteVersion(l.ctx, "order", 3))
		got, err := l.schemas.Latest(l.ctx, "order")
		require.NoError(l, err)
		require.Equal(l, uint32(2), got.Version)
		require.Equal(l, orderV2, got.Definition)
		id, version, err := l.schemas.Resolve(l.ctx, danube.SchemaReference{Subject: "order"})
		require.NoError(l, err)
		require.Equal(l, r.ID, id)
		require.Equal(l, uint32(2), version)
		_, err = l.schemas.Version(l.ctx, r.ID, 3)
		requireRefused(l, err, danube.ErrNotFound, "get schema 1 version 3: Schema not found")

		require.NoError(l, l.schemas.DeleteVersion(l.ctx, "order", 1))
		require.NoError(l, l.schemas.DeleteVersion(l.ctx, "order", 2))
		_, err = l.schemas.Latest(l.ctx, "order")
		requireRefused(l, err, danube.ErrNotFound, "all versions have been deleted")
		_, _, err = l.schemas.Resolve(l.ctx, danube.SchemaReference{Subject: "order"})
		requireRefused(l, err, danube.ErrNotFound, "all versions have been deleted")
	})
}

func TestAReadVersionNeedsNoRegistryAnyMore(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		r := l.register(orderV1)
		_, err := l.schemas.Version(l.ctx, r.ID, 2)
		require.ErrorIs(l, err, danube.ErrNotFound)
		l.register(orderV2)
		for version := range uint32(2) {
			got, err := l.schemas.Version(l.ctx, r.ID, version+1) // that version 2 was missing is not remembered
			require.NoError(l, err)
			got.Tags = append(got.Tags, "mine")
		}
		require.NoError(l, l.schemas.DeleteVersion(l.ctx, "order", 1))
		l.broker.Refuse("GetSchema", codes.Unavailable, 1000)
		got, err := l.client.Schemas().Version(l.ctx, r.ID, 1)
		require.NoError(l, err)
		require.Equal(l, orderV1, got.Definition)
		require.Empty(l, got.Tags)

		l.broker.Refuse("GetLatestSchema", codes.Unavailable, 1)
		_, err = l.schemas.Latest(l.ctx, "order")
		require.ErrorContains(l, err, "refused by a test", "what is the latest may change")
		require.False(l, danube.IsPermanent(err))
	})
}

func TestResolveAsOfficialClientsDo(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		r := l.register(orderV1)
		l.register(orderV2)
		for _, tt := range []struct {
			ref     danube.SchemaReference
			want    uint32
			refused string
		}{
			{ref: danube.SchemaReference{Subject: "order"}, want: 2},
			{ref: danube.SchemaReference{Subject: "order", Version: 1}, want: 1},
			{ref: danube.SchemaReference{Subject: "order", Version: 2}, want: 2},
			{ref: danube.SchemaReference{Subject: "order", Version: 3}, refused: "version 3 is needed and the newest is 2"},
			{ref: danube.SchemaReference{Subject: "order", AtLeast: 1}, want: 2},
			{ref: danube.SchemaReference{Subject: "order", AtLeast: 3}, refused: "version 3 is needed and the newest is 2"},
			{ref: danube.SchemaReference{Subject: "none"}, refused: "list versions of schema none: Subject not found"},
		} {
			id, version, err := l.schemas.Resolve(l.ctx, tt.ref)
			if tt.refused != "" {
				requireRefused(l, err, danube.ErrNotFound, tt.refused)
				continue
			}
			require.NoError(l, err)
			require.Equal(l, r.ID, id)
			require.Equal(l, tt.want, version, "%+v", tt.ref)
		}
	})
}

func TestAProducerNamesItsSchema(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		settings := danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true, Partitions: 2, Schema: danube.SchemaReference{Subject: "order"}}
		p, err := l.client.NewProducer(settings)
		require.NoError(l, err)
		requireRefused(l, p.Register(l.ctx), danube.ErrNotFound, "Subject not found: order")
		require.Empty(l, l.broker.Topics(), "a topic that nothing can be sent to is not created")

		r := l.register(orderV1)
		require.NoError(l, p.Register(l.ctx))
		l.register(orderV2)
		require.NoError(l, p.SendTo(l.ctx, 1, danube.Message{}))
		require.NoError(l, p.SendTo(l.ctx, 1, danube.Message{SchemaID: r.ID, SchemaVersion: 2}))
		sent := l.broker.Messages(topic + "-part-1")
		require.Equal(l, r.ID, sent[0].SchemaID)
		require.Equal(l, uint32(1), sent[0].SchemaVersion, "what was found when it registered")
		require.Equal(l, uint32(2), sent[1].SchemaVersion, "what the message names goes first")
		found, err := l.schemas.Topic(l.ctx, topic)
		require.NoError(l, err)
		require.Equal(l, danube.TopicSchema{Subject: "order", Policy: danube.ValidateWarn}, found)

		settings.Schema.Version, settings.Schema.AtLeast = 1, 1
		_, err = l.client.NewProducer(settings)
		require.ErrorContains(l, err, "leave one of them 0")
		settings.Schema.Subject = ""
		_, err = l.client.NewProducer(settings)
		require.ErrorContains(l, err, "without a subject")
	})
}

func TestAProducerLooksUpItsSchemaAgainInANewLife(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		p, err := l.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true, Schema: danube.SchemaReference{Subject: "order"}})
		require.NoError(l, err)
		l.register(orderV1)
		require.NoError(l, p.Send(l.ctx, danube.Message{}))
		l.broker.Restart(false)
		require.Eventually(l, func() bool {
			_, err := l.schemas.Register(l.ctx, danube.NewSchema{Subject: "other", Type: danube.SchemaBytes})
			return err == nil
		}, time.Minute, time.Second)
		l.register(orderV1) // now with id 2
		require.NoError(l, p.Send(l.ctx, danube.Message{}))
		require.Equal(l, uint64(2), l.broker.Messages(topic)[0].SchemaID)
	})
}

func TestCompatibility(t *testing.T) {
	t.Parallel()
	const other = `{"type":"array"}`
	inLabs(t, func(l *lab) {
		next := danube.NewSchema{Subject: "order", Type: danube.SchemaJSON, Definition: other}
		_, err := l.schemas.CheckCompatibility(l.ctx, next, "")
		requireRefused(l, err, danube.ErrNotFound, "subject order not found")
		l.register(orderV1)
		problems, err := l.schemas.CheckCompatibility(l.ctx, next, "")
		require.NoError(l, err)
		require.NotEmpty(l, problems)
		_, err = l.schemas.Register(l.ctx, next)
		requireRefused(l, err, danube.ErrIncompatible, "register schema order: Failed to register schema")
		problems, err = l.schemas.CheckCompatibility(l.ctx, next, danube.CompatibleAny)
		require.NoError(l, err)
		require.Empty(l, problems)
		_, err = l.schemas.CheckCompatibility(l.ctx, next, "any")
		requireRefused(l, err, danube.ErrBadSchema, "write one of none, backward, forward, full")

		requireRefused(l, l.schemas.SetCompatibility(l.ctx, "none", danube.CompatibleAny), danube.ErrNotFound, "subject none not found")
		require.True(l, danube.IsPermanent(l.schemas.SetCompatibility(l.ctx, "order", "any")))
		require.NoError(l, l.schemas.SetCompatibility(l.ctx, "order", danube.CompatibleAny))
		_, err = l.schemas.Register(l.ctx, next)
		require.NoError(l, err)
	})
}

func TestSchemasThatAreNotTaken(t *testing.T) {
	t.Parallel()
	inLab(t, func(l *lab) {
		for text, n := range map[string]danube.NewSchema{
			"is empty or has a /":                {Type: danube.SchemaBytes},
			`"a/b" is empty or has a /`:          {Subject: "a/b", Type: danube.SchemaBytes},
			`"xml" is not a schema type; write `: {Subject: "a", Type: "xml"},
			"invalid json_schema definition":     {Subject: "a", Type: "json", Definition: "{"},
		} {
			_, err := l.schemas.Register(l.ctx, n)
			require.ErrorContains(l, err, text)
			require.True(l, danube.IsPermanent(err), "%v", err)
		}
		_, err := l.schemas.CheckCompatibility(l.ctx, danube.NewSchema{Subject: "a", Type: "xml"}, "")
		require.ErrorIs(l, err, danube.ErrBadSchema)
		_, err = l.schemas.Version(l.ctx, 0, 0)
		require.ErrorIs(l, err, danube.ErrNotFound)
		_, err = l.schemas.Version(l.ctx, 7, 1)
		requireRefused(l, err, danube.ErrNotFound, "get schema 7 version 1")
		requireRefused(l, l.schemas.DeleteVersion(l.ctx, "a", 1), danube.ErrNotFound, "Subject not found")

		l.broker.Delay("GetSchema", time.Hour, 1)
		ctx, cancel := context.WithTimeout(l.ctx, time.Second)
		defer cancel()
		start := time.Now()
		_, err = l.schemas.Version(ctx, 7, 2)
		require.ErrorIs(l, err, context.DeadlineExceeded)
		require.Equal(l, time.Second, time.Since(start))
	})
}

func TestSchemaOfATopic(t *testing.T) {
	t.Parallel()
	inLabs(t, func(l *lab) {
		l.register(orderV1)
		p, err := l.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: "p", Reliable: true, Partitions: 3})
		require.NoError(l, err)
		require.NoError(l, p.Register(l.ctx))
		want := danube.TopicSchema{Subject: "order", Policy: danube.ValidateEnforce, Payloads: true}
		require.NoError(l, l.schemas.ConfigureTopic(l.ctx, topic, want))
		require.NoError(l, l.schemas.SetTopicPolicy(l.ctx, topic+"-part-1", danube.ValidateWarn, false), "a single partition can be meant")
		_, err = l.schemas.Topic(l.ctx, topic)
		require.ErrorContains(l, err, topic+"-part-0 has {Subject:order Policy:enforce Payloads:true} and "+topic+"-part-1 has {Subject:order Policy:warn")
		require.NoError(l, l.schemas.SetTopicPolicy(l.ctx, topic, danube.ValidateNone, true))
		found, err := l.schemas.Topic(l.ctx, topic)
		require.NoError(l, err)
		require.Equal(l, danube.TopicSchema{Subject: "order", Policy: danube.ValidateNone, Payloads: true}, found)

		want.Subject = "none"
		requireRefused(l, l.schemas.ConfigureTopic(l.ctx, topic, want), danube.ErrNotFound, "set schema of topic /default/orders-part-0: Subject not found")
		requireRefused(l, l.schemas.ConfigureTopic(l.ctx, "/default/order", want), danube.ErrNotFound, "there is no such topic")
		requireRefused(l, l.schemas.ConfigureTopic(l.ctx, "orders", want), danube.ErrName, `topic "orders" is not of the form /namespace/topic`)
		require.True(l, danube.IsPermanent(l.schemas.SetTopicPolicy(l.ctx, topic, "strict", false)))
	})
}
