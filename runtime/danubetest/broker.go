package danubetest

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Broker is a Danube broker inside this process. It answers once [Broker.Serve] is called and must be ended with [Broker.Close].
// All methods may be called concurrently.
type Broker struct {
	settings settings
	log      *slog.Logger
	started  time.Time

	ids         registry
	schemas     schemas
	wrongPort   onceEach // clients that mistake plain text for TLS or the reverse
	budget      budget
	faults      faults
	conns       connections
	watch       notifier
	deadLetters deadLetters
	disk        *dataDir // nil when everything is in memory
	dice        dice
	metadata    metadataLog

	mu         sync.RWMutex // guards what follows
	topics     map[string]*topic
	namespaces map[string]bool
	servers    []*grpc.Server
	clientURL  string
	adminURL   string
	web        *http.Server
	statusURL  string
	anyAddress bool // the client listener has no single address to advertise
	isClosed   bool

	serving sync.WaitGroup
}

// New makes a broker that listens nowhere yet. The error names an option whose value is out of range, or is an
// [ErrDataDir].
func New(opts ...Option) (b *Broker, err error) {
	s := defaults()
	for _, opt := range opts {
		if err := opt(&s); err != nil {
			return nil, fmt.Errorf("broker option: %w", err)
		}
	}
	if err := s.consistent(); err != nil {
		return nil, fmt.Errorf("broker options: %w", err)
	}
	b = &Broker{
		settings: s,
		log:      s.logger,
		started:  time.Now(),
		ids:      registry{producers: make(map[uint64]*producer), consumers: make(map[uint64]*consumer)},
		budget:   budget{limit: s.memory},
	}
	b.deadLetters.publish = b.publishDeadLetter
	b.metadata.forget()
	b.dice.source = s.random("calls")
	b.schemas.clear()
	b.forget()
	if s.dataDir == "" {
		return b, nil
	}
	if b.disk, err = openDataDir(b, s.dataDir); err != nil {
		return nil, dataDirError{err}
	}
	return b, nil
}

// forget makes the broker empty but for its schemas; the caller holds mu or is New.
func (b *Broker) forget() {
	b.topics = make(map[string]*topic)
	b.namespaces = map[string]bool{"default": true, "system": true}
}

// closeTimeout is how long Close lets running calls end by themselves.
const closeTimeout = 500 * time.Millisecond

// Close ends every stream, listener and connection and returns when no goroutine of the broker is left, within about half a second.
// Messages are gone but for those in a data directory. Closing twice does nothing.
func (b *Broker) Close() {
	b.mu.Lock()
	if b.isClosed {
		b.mu.Unlock()
		return
	}
	servers := b.servers
	topics := slices.Collect(maps.Values(b.topics))
	web := b.web
	b.servers, b.isClosed = nil, true
	b.disk.freeze(b.namespaces)
	b.forget()
	b.mu.Unlock()

	closeWeb(web)
	for _, t := range topics {
		t.close(status.Error(codes.Unavailable, "broker is shutting down"))
	}
	b.deadLetters.close()
	stopped := make(chan struct{})
	hard := time.AfterFunc(closeTimeout, func() {
		defer close(stopped)
		for _, s := range servers {
			s.Stop()
		}
	})
	for _, s := range servers {
		s.GracefulStop()
	}
	if !hard.Stop() {
		<-stopped
	}
	b.serving.Wait()
	if err := b.disk.close(topics); err != nil {
		b.log.Error("data directory could not be closed", "error", err)
	}
}

// changed tells those who wait in WaitFor that something happened.
func (b *Broker) changed() { b.watch.notify() }

// reserve takes memory for a message, if need be from the history of topics. No topic may be locked.
func (b *Broker) reserve(n int64) bool {
	if b.budget.reserve(n) {
		return true
	}
	for _, t := range b.allTopics() {
		t.dropHistory()
	}
	return b.budget.reserve(n)
}

func (b *Broker) topic(name string) *topic {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.topics[name]
}

// allTopics lists the topics in byte order of their names.
func (b *Broker) allTopics() []*topic {
	b.mu.RLock()
	defer b.mu.RUnlock()
	names := slices.Sorted(maps.Keys(b.topics))
	topics := make([]*topic, len(names))
	for i, name := range names {
		topics[i] = b.topics[name]
	}
	return topics
}

// partitions lists the topics base-part-<digits> in byte order.
func (b *Broker) partitions(base string) []*topic {
	var parts []*topic
	for _, t := range b.allTopics() {
		if of, ok := partitionBase(t.name); ok && of == base {
			parts = append(parts, t)
		}
	}
	return parts
}

// createTopic adds a topic. The error is a gRPC status with the codes of CreateProducer.
func (b *Broker) createTopic(name string, reliable bool) (*topic, error) {
	if !validTopic(name) {
		return nil, errBadTopic(name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.isClosed:
		return nil, status.Error(codes.Unavailable, "broker is shutting down")
	case !b.namespaces[namespaceOf(name)]:
		return nil, status.Errorf(codes.Unavailable, "Unable to find the namespace %s", namespaceOf(name))
	case b.topics[name] != nil:
		return nil, status.Errorf(codes.AlreadyExists, "topic %s already exists", name)
	}
	if base, ok := partitionBase(name); ok && b.topics[base] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "a plain topic with the base name %s already exists", base)
	}
	for other := range b.topics {
		base, ok := partitionBase(other)
		if ok && base == name || b.settings.traps.collide(name, other) {
			return nil, status.Errorf(codes.AlreadyExists, "partitioned topics with this base name already exist: %s", other)
		}
	}
	t := newTopic(b, name, reliable)
	if err := b.disk.adopt(t); err != nil {
		return nil, status.Errorf(codes.Unavailable, "topic %s cannot be stored: %v", name, err)
	}
	b.topics[name] = t
	b.metadata.add(entriesOfTopic)
	b.log.Info("topic created", "topic", name, "reliable", reliable)
	return t, nil
}

// deleteTopic removes t; its streams end with OK.
func (b *Broker) deleteTopic(t *topic) {
	b.mu.Lock()
	if b.topics[t.name] == t {
		delete(b.topics, t.name)
	}
	b.mu.Unlock()
	t.close(nil)
	b.disk.discard(t)
	b.changed()
}

func errBadTopic(name string) error {
	return status.Errorf(codes.InvalidArgument, "The topic: %s has an invalid format, should be: /namespace_name/topic_name", name)
}
