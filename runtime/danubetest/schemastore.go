package danubetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/schema"
)

// The data directory keeps a subject under "schema:ID" and each of its versions under "schema:ID:NUMBER". They are written in the order
// in which they changed, so that after a crash there can be a subject without versions at the end, but never a gap.
const schemaPrefix = "schema:"

func subjectKey(id uint64) string { return fmt.Sprint(schemaPrefix, id) }

func versionKey(id uint64, number uint32) string {
	return fmt.Sprintf("%s%d:%d", schemaPrefix, id, number)
}

// subjectRecord is a subject beside its versions.
type subjectRecord struct {
	Name string      `json:"name"`
	Mode schema.Mode `json:"mode"`
}

// versionRecord is one version of a subject.
type versionRecord struct {
	Kind        schema.Kind `json:"kind"`
	Definition  string      `json:"definition,omitempty"`
	CreatedAt   time.Time   `json:"created_at"`
	CreatedBy   string      `json:"created_by,omitempty"`
	Description string      `json:"description,omitempty"`
	Tags        []string    `json:"tags,omitempty"`
	Deleted     bool        `json:"deleted,omitempty"`
}

// topicSchemaRecord is what an administrator has set of a topic's schema.
type topicSchemaRecord struct {
	Subject  string `json:"subject"`
	Policy   string `json:"policy"`
	Payloads bool   `json:"payloads,omitempty"`
}

// keepSubject lets the next flush store a subject without its versions. r is locked.
func (r *schemas) keepSubject(s *subject) {
	if r.durable {
		r.keep(subjectKey(s.id), subjectRecord{Name: s.name, Mode: s.mode})
	}
}

// keepVersion lets the next flush store a version. r is locked.
func (r *schemas) keepVersion(s *subject, v *schemaVersion) {
	if r.durable {
		r.keep(versionKey(s.id, v.number), versionRecord{
			Kind: v.schema.Kind(), Definition: v.schema.Definition(), CreatedAt: v.createdAt, CreatedBy: v.createdBy,
			Description: v.description, Tags: v.tags, Deleted: v.deleted,
		})
	}
}

func (r *schemas) keep(key string, record any) {
	b, err := json.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("danubetest: a record of texts cannot be written: %v", err))
	}
	r.unsaved = append(r.unsaved, stateChange{key: key, value: string(b)})
}

// dropAll lets the next flush remove everything, the last first, so that what a crash leaves is whole. r is locked.
func (r *schemas) dropAll() {
	if !r.durable {
		return
	}
	for i := len(r.byID); i > 0; i-- {
		s := r.byID[i-1]
		for n := len(s.versions); n > 0; n-- {
			r.unsaved = append(r.unsaved, stateChange{key: versionKey(s.id, uint32(n))})
		}
		r.unsaved = append(r.unsaved, stateChange{key: subjectKey(s.id)})
	}
}

// take returns what is to be stored, in order.
func (r *schemas) take() []stateChange {
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := r.unsaved
	r.unsaved = nil
	return changes
}

// giveBack keeps for the next flush what take returned and could not be stored.
func (r *schemas) giveBack(changes []stateChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsaved = append(changes[:len(changes):len(changes)], r.unsaved...)
}

// restore makes the subjects that live holds and returns the memory that they take.
func (r *schemas) restore(live map[string]string) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.durable = true
	known := 0
	for id := uint64(1); ; id++ {
		text, ok := live[subjectKey(id)]
		if !ok {
			break
		}
		known++
		var record subjectRecord
		if err := json.Unmarshal([]byte(text), &record); err != nil {
			return 0, fmt.Errorf("what is stored of schema %d cannot be understood: %w", id, err)
		}
		s := &subject{id: id, name: record.Name, mode: record.Mode}
		size, err := s.restore(live)
		if err != nil {
			return 0, fmt.Errorf("schema subject %s: %w", s.name, err)
		}
		if len(s.versions) == 0 {
			r.unsaved = append(r.unsaved, stateChange{key: subjectKey(id)})
			break // the broker was killed while the subject was registered
		}
		known += len(s.versions)
		r.byName[s.name], r.byID, r.bytes = s, append(r.byID, s), r.bytes+size
	}
	stored := 0
	for key := range live {
		if strings.HasPrefix(key, schemaPrefix) {
			stored++
		}
	}
	if stored != known {
		return 0, fmt.Errorf("of %d records of the schema registry %d belong to no schema; restore the folder state/ from a copy", stored, stored-known)
	}
	return r.bytes, nil
}

// restore makes the versions of a subject and returns the memory that they take.
func (s *subject) restore(live map[string]string) (size int64, err error) {
	for number := uint32(1); ; number++ {
		text, ok := live[versionKey(s.id, number)]
		if !ok {
			return size, nil
		}
		var record versionRecord
		if err := json.Unmarshal([]byte(text), &record); err != nil {
			return 0, fmt.Errorf("what is stored of version %d cannot be understood: %w", number, err)
		}
		parsed, err := schema.Parse(record.Kind, []byte(record.Definition))
		if err != nil {
			return 0, fmt.Errorf("stored version %d: %w", number, err)
		}
		s.versions = append(s.versions, &schemaVersion{
			number: number, schema: parsed, createdAt: record.CreatedAt, createdBy: record.CreatedBy,
			description: record.Description, tags: record.Tags, deleted: record.Deleted,
		})
		size += schemaSize(record.Definition, record.Description)
	}
}

// schemaRecord is what is to be stored of the topic's schema, nil for nothing. What a producer chose is forgotten by a restart.
func (t *topic) schemaRecord() *topicSchemaRecord {
	s := t.schema.Load()
	if s == nil || !s.stored {
		return nil
	}
	return &topicSchemaRecord{Subject: s.subject, Policy: s.policy, Payloads: s.payloads}
}

// restoreSchema is the reverse of schemaRecord.
func (t *topic) restoreSchema(r *topicSchemaRecord) {
	if r != nil {
		t.schema.Store(&topicSchema{subject: r.Subject, policy: r.Policy, payloads: r.Payloads, stored: true})
	}
}
