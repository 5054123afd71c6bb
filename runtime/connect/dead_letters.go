package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// Attributes of a dead letter. Those with x- are what the broker's own dead letters carry.
const (
	attrOriginalTopic        = "x-original-topic"
	attrOriginalSubscription = "x-original-subscription"
	attrOriginalOffset       = "x-original-topic-offset"
	attrOriginalProducer     = "x-original-producer"
	attrOriginalPublishTime  = "x-original-publish-time"
	attrFailureReason        = "x-failure-reason"
	attrErrorClass           = "x-error-class"
)

// maxReason bounds the error text in a dead letter, in bytes.
const maxReason = 4 << 10

// deadLetters puts rejected records away as the configuration says.
type deadLetters struct {
	onReject     string
	subscription string
	producer     *danube.Producer // nil unless onReject is dead-letter
	log          *zap.Logger
	count        func()
}

func newDeadLetters(s *SinkSettings, r SinkRoute, client *danube.Client) (*deadLetters, error) {
	l := &deadLetters{onReject: s.OnReject, subscription: r.Subscription, log: s.Log, count: func() {}}
	if s.OnReject != onRejectDeadLetter {
		return l, nil
	}
	topic := s.DeadLetterTopic
	setDefault(&topic, r.From+"-dlq")
	var err error
	// The topic is made by the first letter, so after the main topic: on the real broker a topic whose name extends another's stops
	// that one from being made.
	l.producer, err = client.NewProducer(danube.ProducerSettings{Topic: topic, Name: s.Name + "-" + topicToken(topic), Reliable: true})
	return l, err
}

// put returns nil once r is safe to acknowledge: its dead letter was confirmed, or the configuration says to skip it.
func (l *deadLetters) put(ctx context.Context, r Record, reason error) error {
	fields := []zap.Field{
		zap.String("topic", r.Topic), zap.Uint64("offset", r.Offset), zap.String("event_id", r.EventID()), zap.NamedError("reason", reason),
	}
	switch l.onReject {
	case onRejectStop:
		return Fatal(fmt.Errorf("record %s of %s was rejected and dead_letter.on_reject is stop: %w", r.EventID(), r.Topic, reason))
	case onRejectSkip:
		l.log.Error("record skipped", fields...)
		l.count()
		return nil
	}
	err := l.producer.Send(ctx, l.letter(r, reason))
	if danube.IsPermanent(err) {
		return Fatal(fmt.Errorf("dead letter of record %s of %s: %w", r.EventID(), r.Topic, errors.Join(err, reason)))
	}
	if err != nil {
		return err
	}
	l.log.Error("record sent to the dead letters", fields...)
	l.count()
	return nil
}

// letter carries the record's bytes, key and attributes unchanged, and its event id, so that a replay is recognised.
func (l *deadLetters) letter(r Record, reason error) danube.Message {
	attrs := maps.Clone(r.Attributes)
	if attrs == nil {
		attrs = make(map[string]string)
	}
	text := strings.ToValidUTF8(reason.Error(), "\uFFFD")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	topic := r.Topic
	if r.Partition >= 0 {
		topic = danube.PartitionName(r.Topic, r.Partition)
	}
	maps.Copy(attrs, map[string]string{
		EventIDAttribute:         r.EventID(),
		attrOriginalTopic:        topic,
		attrOriginalSubscription: l.subscription,
		attrOriginalOffset:       strconv.FormatUint(r.Offset, 10),
		attrOriginalProducer:     r.Producer,
		attrOriginalPublishTime:  strconv.FormatInt(r.PublishTime.UnixMilli(), 10),
		attrFailureReason:        text,
		attrErrorClass:           ClassOf(reason).String(),
	})
	return danube.Message{Key: r.Key, Payload: r.Value, Attributes: attrs, SchemaID: r.Schema.ID, SchemaVersion: r.Schema.Version}
}
