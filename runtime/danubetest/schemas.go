package danubetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/schema"
)

// schemas is the schema registry. It is a leaf in the lock order.
type schemas struct {
	mu     sync.RWMutex
	byName map[string]*subject
	byID   []*subject // byID[i] has the id i+1
	bytes  int64      // charged to the memory budget

	durable bool          // changes are stored
	unsaved []stateChange // in the order in which they happened
}

// A subject is a schema in all its versions, which share its id.
type subject struct {
	id       uint64
	name     string
	mode     schema.Mode
	versions []*schemaVersion // versions[i] is version i+1; none is ever taken out
}

// A schemaVersion is one definition of a subject. A deleted one still is the latest if it was, and still is what an equal definition
// is found to be.
type schemaVersion struct {
	number      uint32
	schema      *schema.Schema
	createdAt   time.Time
	createdBy   string
	description string
	tags        []string
	deleted     bool
}

func (s *subject) latest() *schemaVersion { return s.versions[len(s.versions)-1] }

// equal finds the version, deleted or not, with the same definition as parsed.
func (s *subject) equal(parsed *schema.Schema) *schemaVersion {
	for _, v := range s.versions {
		if v.schema.Kind() == parsed.Kind() && v.schema.Fingerprint() == parsed.Fingerprint() {
			return v
		}
	}
	return nil
}

// version finds a version that is not deleted.
func (s *subject) version(n uint32) *schemaVersion {
	if n < 1 || int(n) > len(s.versions) || s.versions[n-1].deleted {
		return nil
	}
	return s.versions[n-1]
}

// clear forgets everything and returns the bytes that it took.
func (r *schemas) clear() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	freed := r.bytes
	r.dropAll()
	r.byName, r.byID, r.bytes = make(map[string]*subject), nil, 0
	return freed
}

// register adds a version to the subject that req names, or finds the one with the same definition. size is what a new version costs.
func (r *schemas) register(req *schemapb.RegisterSchemaRequest, parsed *schema.Schema, size int64) (*schemapb.RegisterSchemaResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byName[req.GetSubject()]
	if s != nil {
		if v := s.equal(parsed); v != nil {
			return registered(s, v, false), nil
		}
		if problems := schema.Incompatible(s.mode, s.latest().schema, parsed); len(problems) > 0 {
			return nil, fmt.Errorf("schema is not %s compatible with version %d of subject %s: %s",
				s.mode, s.latest().number, s.name, strings.Join(problems, "; "))
		}
	} else {
		s = &subject{id: uint64(len(r.byID) + 1), name: req.GetSubject(), mode: schema.Backward}
		r.byName[s.name], r.byID = s, append(r.byID, s)
		r.keepSubject(s)
	}
	v := &schemaVersion{
		number:      uint32(len(s.versions) + 1),
		schema:      parsed,
		createdAt:   time.Now(),
		createdBy:   req.GetCreatedBy(),
		description: req.GetDescription(),
		tags:        slices.Clone(req.GetTags()),
	}
	s.versions = append(s.versions, v)
	r.bytes += size
	r.keepVersion(s, v)
	return registered(s, v, true), nil
}

func registered(s *subject, v *schemaVersion, isNew bool) *schemapb.RegisterSchemaResponse {
	return &schemapb.RegisterSchemaResponse{SchemaId: s.id, Version: v.number, IsNewVersion: isNew, Fingerprint: v.schema.Fingerprint()}
}

// with calls f with a subject locked for reading; it returns false when there is none of that name.
func (r *schemas) with(name string, f func(*subject)) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.byName[name]
	if s != nil {
		f(s)
	}
	return s != nil
}

// withID is with for an id.
func (r *schemas) withID(id uint64, f func(*subject)) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if id < 1 || id > uint64(len(r.byID)) {
		return false
	}
	f(r.byID[id-1])
	return true
}

// change calls f with a subject locked for writing; it returns false when there is none of that name.
func (r *schemas) change(name string, f func(*subject)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byName[name]
	if s != nil {
		f(s)
	}
	return s != nil
}

// known says whether a subject is registered.
func (r *schemas) known(name string) bool { return r.with(name, func(*subject) {}) }

// summaries lists the subjects in byte order of their names.
func (r *schemas) summaries() []*schemapb.SubjectSummary {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []*schemapb.SubjectSummary
	for _, name := range slices.Sorted(maps.Keys(r.byName)) {
		s := r.byName[name]
		list = append(list, &schemapb.SubjectSummary{
			Subject:           name,
			SchemaType:        string(s.latest().schema.Kind()),
			LatestVersion:     s.latest().number,
			CompatibilityMode: string(s.mode),
			SchemaId:          s.id,
			Tags:              slices.Clone(s.latest().tags),
		})
	}
	return list
}

// wire is the version as GetSchema and GetLatestSchema answer it.
func (s *subject) wire(v *schemaVersion) *schemapb.GetSchemaResponse {
	return &schemapb.GetSchemaResponse{
		SchemaId:          s.id,
		Version:           v.number,
		Subject:           s.name,
		SchemaType:        string(v.schema.Kind()),
		SchemaDefinition:  v.schema.Wrapped(),
		Description:       v.description,
		CreatedAt:         uint64(v.createdAt.Unix()),
		CreatedBy:         v.createdBy,
		Tags:              slices.Clone(v.tags),
		Fingerprint:       v.schema.Fingerprint(),
		CompatibilityMode: string(s.mode),
	}
}
