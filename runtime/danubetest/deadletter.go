package danubetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// A deadLetter is an exhausted message on its way to another topic.
type deadLetter struct {
	topic  *topic
	sub    *subscription
	d      *delivery
	target string
	done   func(error) // called with topic locked
}

// deadLetters publishes dead letters one after the other, in a goroutine of its own because it locks two topics in turn. The
// goroutine runs only while there are some; close waits for it.
type deadLetters struct {
	publish func(deadLetter) error

	mu      sync.Mutex
	queue   fifo[deadLetter]
	running bool
	closed  bool
	wait    sync.WaitGroup
}

func (q *deadLetters) add(l deadLetter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.queue.push(l)
	if !q.running {
		q.running = true
		q.wait.Go(q.run)
	}
}

func (q *deadLetters) run() {
	for {
		q.mu.Lock()
		if q.queue.len() == 0 || q.closed {
			q.running = false
			q.mu.Unlock()
			return
		}
		l := q.queue.pop()
		q.mu.Unlock()

		err := q.publish(l)
		l.topic.mu.Lock()
		l.done(err)
		l.topic.trim()
		l.topic.mu.Unlock()
		l.topic.broker.changed()
	}
}

func (q *deadLetters) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wait.Wait()
}

// publishDeadLetter stores the copy of a dead letter, on a new reliable topic if there is none of that name.
func (b *Broker) publishDeadLetter(l deadLetter) error {
	err := b.tryDeadLetter(l)
	if err != nil {
		b.log.Warn("dead letter could not be published, it will be tried again", "topic", l.topic.name, "offset", l.d.offset,
			"target", l.target, "error", err)
	}
	return err
}

func (b *Broker) tryDeadLetter(l deadLetter) error {
	t := b.topic(l.target)
	if t == nil {
		var err error
		if t, err = b.createTopic(l.target, true); err != nil {
			return err
		}
		if err := b.disk.flush(); err != nil { // the topic must be known before its first message is
			return err
		}
	}
	if !t.reliable {
		return fmt.Errorf("dead-letter topic %s is not reliable", l.target)
	}
	return t.publish(context.Background(), deadLetterCopy(l)) // closing the topic ends any wait
}

// deadLetterCopy keeps payload and attributes only, as the real broker does.
func deadLetterCopy(l deadLetter) *danubepb.StreamMessage {
	original := l.d.msg
	attributes := make(map[string]string, len(original.GetAttributes())+8)
	for k, v := range original.GetAttributes() {
		attributes[k] = v
	}
	attributes["x-original-topic"] = l.topic.name
	attributes["x-original-subscription"] = l.sub.name
	attributes["x-original-topic-offset"] = strconv.FormatUint(l.d.offset, 10)
	attributes["x-original-producer-id"] = strconv.FormatUint(original.GetMsgId().GetProducerId(), 10)
	attributes["x-original-broker-addr"] = original.GetMsgId().GetBrokerAddr()
	attributes["x-poison-policy"] = "dead_letter"
	attributes["x-delivery-attempt"] = strconv.FormatUint(uint64(l.d.count), 10)
	if l.d.reason != "" {
		attributes["x-failure-reason"] = l.d.reason
	}
	return &danubepb.StreamMessage{
		MsgId: &danubepb.MsgID{
			ProducerId: rand.Uint64(),
			TopicName:  l.target,
			BrokerAddr: original.GetMsgId().GetBrokerAddr(),
		},
		Payload:      original.GetPayload(), // never changed, so it can be shared
		PublishTime:  uint64(time.Now().UnixMilli()),
		ProducerName: "broker-replicator-" + brokerID + "-0",
		Attributes:   attributes,
	}
}
