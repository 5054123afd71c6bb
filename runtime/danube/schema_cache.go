package danube

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"
)

const (
	// schemaCacheBytes bounds what the cache of a client takes.
	schemaCacheBytes = 16 << 20
	// schemaEntryBytes is what a schema takes beside its texts.
	schemaEntryBytes = 512
)

type schemaKey struct {
	id      uint64
	version uint32
}

// A schemaEntry is a version in the cache.
type schemaEntry struct {
	key    schemaKey
	schema Schema
}

// A schemaCache keeps versions of schemas, those that were used last. The zero value is empty and ready.
type schemaCache struct {
	flight singleflight.Group

	mu      sync.Mutex
	entries map[schemaKey]*list.Element // of schemaEntry
	used    list.List                   // the last used in front
	bytes   int
}

// get gives a version, from memory or by read. All who ask for it while it is read share the answer; who gives up
// ends only the own wait. Failures are not kept.
func (c *schemaCache) get(ctx context.Context, key schemaKey, read func(context.Context) (Schema, error)) (Schema, error) {
	if s, ok := c.known(key); ok {
		return s, nil
	}
	// read has a deadline of its own, and ends at once when the client is closed.
	reading := c.flight.DoChan(fmt.Sprint(key), func() (any, error) {
		s, err := read(context.WithoutCancel(ctx))
		if err == nil {
			s.Compatibility = ""
			c.keep(key, s)
		}
		return s, err
	})
	select {
	case r := <-reading:
		s, _ := r.Val.(Schema)
		s.Tags = slices.Clone(s.Tags)
		return s, r.Err
	case <-ctx.Done():
		return Schema{}, fmt.Errorf("%s %d version %d: %w", opGetSchema, key.id, key.version, ctx.Err())
	}
}

func (c *schemaCache) known(key schemaKey) (Schema, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return Schema{}, false
	}
	c.used.MoveToFront(e)
	s := e.Value.(schemaEntry).schema
	s.Tags = slices.Clone(s.Tags) // the caller may change them
	return s, true
}

func (c *schemaCache) keep(key schemaKey, s Schema) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.size() > schemaCacheBytes || c.entries[key] != nil {
		return
	}
	if c.entries == nil {
		c.entries = make(map[schemaKey]*list.Element)
	}
	c.entries[key] = c.used.PushFront(schemaEntry{key, s})
	for c.bytes += s.size(); c.bytes > schemaCacheBytes; {
		oldest := c.used.Remove(c.used.Back()).(schemaEntry)
		delete(c.entries, oldest.key)
		c.bytes -= oldest.schema.size()
	}
}

// size is about what a schema takes in memory, in bytes.
func (s *Schema) size() int {
	n := schemaEntryBytes + len(s.Subject) + len(s.Definition) + len(s.Description)
	for _, tag := range s.Tags {
		n += len(tag)
	}
	return n
}
