package danubetest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A producer is a name on a topic. It lives as long as the topic, whether its client does or not.
type producer struct {
	id    uint64
	name  string
	topic *topic
	conn  atomic.Pointer[conn] // by which it spoke last; nil when that is not one of ours
}

// registry finds producers and consumers by id. It is a leaf in the lock order.
type registry struct {
	mu        sync.RWMutex
	producers map[uint64]*producer
	consumers map[uint64]*consumer
}

// newID makes the random id of a producer or consumer.
func newID() uint64 { return rand.Uint64() }

func (r *registry) addProducer(p *producer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.producers[p.id] = p
}

func (r *registry) removeProducer(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.producers, id)
}

func (r *registry) producer(id uint64) *producer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.producers[id]
}

func (r *registry) addConsumer(c *consumer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.consumers[c.id] = c
}

func (r *registry) removeConsumer(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.consumers, id)
}

func (r *registry) consumer(id uint64) *consumer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.consumers[id]
}

func errNoConsumer(id uint64) error {
	return status.Errorf(codes.NotFound, "The consumer with the id %d does not exist", id)
}

func errNoProducer(id uint64) error {
	return status.Errorf(codes.NotFound, "The producer with id %d does not exist", id)
}

func errNoTopic(name string) error {
	return status.Errorf(codes.NotFound, "Unable to find the topic %s", name)
}

// messageOverhead is what a stored message takes beside its encoded size, roughly.
const messageOverhead = 256

// budget counts bytes against a limit.
type budget struct {
	limit int64
	used  atomic.Int64
}

// reserve takes n bytes, or nothing if they are not there.
func (b *budget) reserve(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) release(n int64) { b.used.Add(-n) }
