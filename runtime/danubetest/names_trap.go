package danubetest

import (
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// collide says whether the real broker takes a topic for a partition of the name that is to be created: it compares the beginnings
// of names only.
func (t traps) collide(name, other string) bool {
	return t.has(trapNames) && strings.HasPrefix(other, name) && !strings.Contains(name, "-part-")
}

// beginningWith lists the topics whose names begin with a text, in byte order.
func (b *Broker) beginningWith(text string) []*topic {
	var found []*topic
	for _, t := range b.allTopics() {
		if strings.HasPrefix(t.name, text) {
			found = append(found, t)
		}
	}
	return found
}

// beginning is the first of [Broker.beginningWith], nil if there is none.
func (b *Broker) beginning(text string) *topic {
	if found := b.beginningWith(text); len(found) > 0 {
		return found[0]
	}
	return nil
}

// loadTime is how long a cluster needs to load a new topic.
const loadTime = 100 * time.Millisecond

// ready says whether the topic is loaded.
func (t *topic) ready() bool { return t.readyAt.IsZero() || !time.Now().Before(t.readyAt) }

func errElsewhere(name string) error {
	return status.Errorf(codes.Unavailable, "topic %s is served by another broker, redo the Lookup", name)
}
