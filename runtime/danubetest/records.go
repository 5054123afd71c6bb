package danubetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// Keys of what a dataDir stores.
const (
	namespacesKey = "namespaces"
	topicPrefix   = "topic:"
)

func topicKey(name string) string { return topicPrefix + name }

// topicRecord is what the data directory knows of a topic beside its messages.
type topicRecord struct {
	ID            uint64                        `json:"id"` // names the folder of its messages
	Reliable      bool                          `json:"reliable"`
	Published     uint64                        `json:"published,omitempty"` // so many messages were safe when this was written
	Subscriptions map[string]subscriptionRecord `json:"subscriptions,omitempty"`
	Policies      map[string][]byte             `json:"policies,omitempty"` // as in the admin API
	Windows       map[string]int                `json:"windows,omitempty"`
	Schema        *topicSchemaRecord            `json:"schema,omitempty"`
	Lives         *livesRecord                  `json:"lives,omitempty"` // instead of subscriptions
}

// subscriptionRecord is a subscription with its position.
type subscriptionRecord struct {
	Type    danubepb.ConsumerRequest_SubscriptionType `json:"type"`
	Next    uint64                                    `json:"next"`
	Unacked []uint64                                  `json:"unacked,omitempty"` // below next
}

// record is the topic as it is to be stored. It is locked.
func (t *topic) record() string {
	if t.lastRecord != "" {
		return t.lastRecord
	}
	r := topicRecord{ID: t.id, Reliable: t.reliable, Windows: t.windows, Policies: make(map[string][]byte), Schema: t.schemaRecord()}
	for name, p := range t.policies {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
		if err != nil {
			panic(fmt.Sprintf("danubetest: a failure policy that came over the wire cannot be written: %v", err))
		}
		r.Policies[name] = b
	}
	switch {
	case t.lives != nil:
		r.Published, r.Lives = t.lives.files.Next(), t.lives.record()
	case t.reliable:
		r.Published = t.head
		r.Subscriptions = make(map[string]subscriptionRecord)
		for name, s := range t.subs {
			p := s.dispatcher.position().settled()
			r.Subscriptions[name] = subscriptionRecord{Type: s.kind, Next: p.next, Unacked: p.unacked}
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("danubetest: a record of numbers and names cannot be written: %v", err))
	}
	return string(b)
}

// settled is the same position without the messages that were only handed out: what is not acknowledged at the end counts as not
// read.
func (p position) settled() position {
	for n := len(p.unacked); n > 0 && p.unacked[n-1] == p.next-1; n-- {
		p.next--
		p.unacked = p.unacked[:n-1]
	}
	return p
}

// namespaceRecord is the namespaces as they are to be stored.
func (d *dataDir) namespaceRecord() string {
	d.broker.mu.RLock()
	defer d.broker.mu.RUnlock()
	names := d.broker.namespaces
	if d.frozen != nil {
		names = d.frozen
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), "\n")
}

// freeze says that what changes from now on is the end of the broker and not of its namespaces. Broker.mu is held.
func (d *dataDir) freeze(namespaces map[string]bool) {
	if d != nil {
		d.frozen = namespaces
	}
}

// restore makes the topics that the data directory knows. The broker is not served yet.
func (d *dataDir) restore() error {
	if err := errors.Join(d.agree(), d.startMetadata()); err != nil {
		return err
	}
	if names := d.states.live[namespacesKey]; names != "" {
		clear(d.broker.namespaces)
		for _, name := range strings.Split(names, "\n") {
			d.broker.namespaces[name] = true
		}
	}
	size, err := d.broker.schemas.restore(d.states.live)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
	d.broker.budget.used.Add(size) // also beyond the limit: it is there
	var topics []*topic
	records := make(map[*topic]topicRecord)
	for key, value := range d.states.live {
		name, ok := strings.CutPrefix(key, topicPrefix)
		if !ok {
			continue
		}
		var r topicRecord
		if err := json.Unmarshal([]byte(value), &r); err != nil {
			return fmt.Errorf("data directory %s: what is stored of topic %s cannot be understood: %w", d.path, name, err)
		}
		t := newTopic(d.broker, name, r.Reliable)
		t.id, t.readyAt = r.ID, time.Time{}
		d.nextID = max(d.nextID, r.ID+1)
		topics = append(topics, t)
		records[t] = r
	}
	if err := d.removeOrphans(topics); err != nil {
		return err
	}
	if err := d.openLogs(topics, records); err != nil {
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
	for _, t := range topics {
		d.broker.topics[t.name] = t
		if err := t.restore(records[t]); err != nil {
			return fmt.Errorf("data directory %s: topic %s: %w", d.path, t.name, err)
		}
	}
	return d.beginLife()
}

// openLogs opens the logs of topics, some at the same time: each may have to wait for the disk.
func (d *dataDir) openLogs(topics []*topic, records map[*topic]topicRecord) error {
	const atOnce = 16
	turns := make(chan struct{}, atOnce)
	errs := make([]error, len(topics))
	var all sync.WaitGroup
	for i, t := range topics {
		if !t.reliable {
			continue
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			errs[i] = d.openLog(t, records[t])
		})
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			for _, t := range topics {
				_ = t.closeFiles() // the error to tell is the first one
			}
			return errs[i]
		}
	}
	return nil
}

// removeOrphans removes the folders of topics that were deleted when the process ended before it could. Without any state they are
// not taken for that.
func (d *dataDir) removeOrphans(topics []*topic) error {
	known := make(map[string]bool)
	for _, t := range topics {
		known[filepath.Base(d.topicPath(t.id))] = true
	}
	entries, err := os.ReadDir(filepath.Join(d.path, "topics"))
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	for _, e := range entries {
		id, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil || known[e.Name()] {
			continue
		}
		if d.states.log.Next() == 0 {
			return fmt.Errorf("data directory %s has messages in topics/ but its folder state/ is empty; restore it from a copy, or move the directory away to begin anew", d.path)
		}
		d.broker.log.Info("remove the messages of a deleted topic", "folder", e.Name())
		d.nextID = max(d.nextID, id+1)
		if err := os.RemoveAll(d.topicPath(id)); err != nil {
			return fmt.Errorf("data directory: remove the messages of a deleted topic: %w", err)
		}
	}
	return nil
}

// restore makes subscriptions and settings from what was stored.
func (t *topic) restore(r topicRecord) error {
	t.head = t.log.next()
	maps.Copy(t.windows, r.Windows)
	t.restoreSchema(r.Schema)
	for name, b := range r.Policies {
		p := &adminpb.SubscriptionFailurePolicy{}
		if err := proto.Unmarshal(b, p); err != nil {
			return fmt.Errorf("failure policy of subscription %s: %w", name, err)
		}
		t.policies[name] = p
	}
	for name, sr := range r.Subscriptions {
		from := position{next: sr.Next, unacked: sr.Unacked}
		if err := t.readable(from); err != nil {
			return fmt.Errorf("subscription %s: %w", name, err)
		}
		s := &subscription{topic: t, name: name}
		if err := s.choose(sr.Type); err != nil {
			return fmt.Errorf("subscription %s: %w", name, err)
		}
		s.start(from)
		t.subs[name] = s
	}
	t.trim()
	return nil
}

// readable checks that what a subscription needs first is there.
func (t *topic) readable(p position) error {
	if p.next > t.head {
		return fmt.Errorf("it has read %d messages, and the log has %d", p.next, t.head)
	}
	for _, offset := range append(p.unacked[:len(p.unacked):len(p.unacked)], p.next) {
		if offset == t.head {
			break
		}
		if offset < t.log.first() {
			return fmt.Errorf("it needs message %d, and the log begins at %d: a file is missing", offset, t.log.first())
		}
		if log, ok := t.log.(*diskLog); ok {
			if _, err := log.readDisk(offset); err != nil {
				return err
			}
		}
	}
	return nil
}
