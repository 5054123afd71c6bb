package danube

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
)

// Names of the registry's calls in errors.
const (
	opRegisterSchema = "register schema"
	opGetSchema      = "get schema"
	opListVersions   = "list versions of schema"
	opCheckSchema    = "check compatibility of schema"
	opDeleteVersion  = "delete version of schema"
	opSetMode        = "set compatibility of schema"
	opListSubjects   = "list schema"
	opTopicSchema    = "read schema of topic"
	opSetTopicSchema = "set schema of topic"
)

// Schemas is the schema registry of a cluster, with the versions that it has read kept in memory. Each call is made once, with a
// deadline of a few seconds; failures are an [Error], for which errors.Is tells some reasons, such as [ErrNotFound].
type Schemas struct{ client *Client }

// Schemas gives the schema registry. All that a client gives keep what they have read together.
func (c *Client) Schemas() Schemas { return Schemas{client: c} }

// registry is the registry at the broker that the client was made for: every broker has all of it.
func (s Schemas) registry() (schemapb.SchemaRegistryClient, error) {
	conn, err := s.client.conn(s.client.service)
	if err != nil {
		return nil, err
	}
	return schemapb.NewSchemaRegistryClient(conn), nil
}

// A NewSchema is what is to be registered.
type NewSchema struct {
	Subject     string // any text without /
	Type        SchemaType
	Definition  string // ignored for bytes, string and number
	Description string
	CreatedBy   string
	Tags        []string
}

// A Registration is the version that a registered schema has.
type Registration struct {
	ID          uint64
	Version     uint32
	New         bool // false when an equal definition was registered before, which may be one that has been deleted since
	Fingerprint string
}

// Register adds a version to a subject, or finds the one with an equal definition. [ErrIncompatible] and [ErrBadSchema] tell why the
// registry does not take it.
func (s Schemas) Register(ctx context.Context, n NewSchema) (Registration, error) {
	t := task{opRegisterSchema, n.Subject}
	if n.Subject == "" || strings.Contains(n.Subject, "/") {
		return Registration{}, t.refuse(codes.InvalidArgument, ErrName, "subject %q is empty or has a / in it, at which the broker cuts names", n.Subject)
	}
	if err := n.Type.UnmarshalText([]byte(n.Type)); err != nil {
		return Registration{}, t.refuse(codes.InvalidArgument, ErrBadSchema, "%v", err)
	}
	registry, err := s.registry()
	if err != nil {
		return Registration{}, err
	}
	resp, err := ask(ctx, t, registry.RegisterSchema, &schemapb.RegisterSchemaRequest{
		Subject: n.Subject, SchemaType: string(n.Type), SchemaDefinition: []byte(n.Definition),
		Description: n.Description, CreatedBy: n.CreatedBy, Tags: n.Tags,
	})
	if err != nil {
		return Registration{}, err
	}
	return Registration{resp.GetSchemaId(), resp.GetVersion(), resp.GetIsNewVersion(), resp.GetFingerprint()}, nil
}

// A SchemaVersion is a version in the list of a subject.
type SchemaVersion struct {
	ID          uint64 // of the subject
	Version     uint32
	CreatedAt   time.Time // in whole seconds
	CreatedBy   string
	Description string
	Fingerprint string
}

// Versions lists the versions of a subject that have not been deleted, in order. It may be empty.
func (s Schemas) Versions(ctx context.Context, subject string) ([]SchemaVersion, error) {
	registry, err := s.registry()
	if err != nil {
		return nil, err
	}
	resp, err := ask(ctx, task{opListVersions, subject}, registry.ListVersions, &schemapb.ListVersionsRequest{Subject: subject})
	var list []SchemaVersion
	for _, v := range resp.GetVersions() {
		list = append(list, SchemaVersion{
			ID: v.GetSchemaId(), Version: v.GetVersion(), CreatedAt: time.Unix(int64(v.GetCreatedAt()), 0),
			CreatedBy: v.GetCreatedBy(), Description: v.GetDescription(), Fingerprint: v.GetFingerprint(),
		})
	}
	return list, err
}

// CheckCompatibility asks whether a schema could be registered next, and says what is against it; nothing is when the list is empty.
// An empty mode is the subject's own.
func (s Schemas) CheckCompatibility(ctx context.Context, n NewSchema, mode Compatibility) ([]string, error) {
	t := task{opCheckSchema, n.Subject}
	if err := n.Type.UnmarshalText([]byte(n.Type)); err != nil {
		return nil, t.refuse(codes.InvalidArgument, ErrBadSchema, "%v", err)
	}
	req := &schemapb.CheckCompatibilityRequest{Subject: n.Subject, SchemaType: string(n.Type), NewSchemaDefinition: []byte(n.Definition)}
	if mode != "" {
		// The registry passes over a mode that it does not know and answers for another one.
		if err := mode.UnmarshalText([]byte(mode)); err != nil {
			return nil, t.refuse(codes.InvalidArgument, ErrBadSchema, "%v", err)
		}
		req.CompatibilityMode = new(string(mode))
	}
	registry, err := s.registry()
	if err != nil {
		return nil, err
	}
	resp, err := ask(ctx, t, registry.CheckCompatibility, req)
	if err == nil && !resp.GetIsCompatible() && len(resp.GetErrors()) == 0 {
		return []string{"the registry gives no reason"}, nil
	}
	return resp.GetErrors(), err
}

// DeleteVersion takes a version out of a subject: [Schemas.Versions] no longer lists it, and the broker no longer hands it out by number,
// so that messages written with it cannot be read by those who have not read it yet.
func (s Schemas) DeleteVersion(ctx context.Context, subject string, version uint32) error {
	registry, err := s.registry()
	if err != nil {
		return err
	}
	t := task{opDeleteVersion, subject}
	resp, err := ask(ctx, t, registry.DeleteSchemaVersion, &schemapb.DeleteSchemaVersionRequest{Subject: subject, Version: version})
	return t.done(resp, err)
}

// SetCompatibility changes which schemas may follow the latest version of a subject.
func (s Schemas) SetCompatibility(ctx context.Context, subject string, mode Compatibility) error {
	registry, err := s.registry()
	if err != nil {
		return err
	}
	t := task{opSetMode, subject}
	req := &schemapb.SetCompatibilityModeRequest{Subject: subject, CompatibilityMode: string(mode)}
	resp, err := ask(ctx, t, registry.SetCompatibilityMode, req)
	return t.done(resp, err)
}

// done is the outcome of a call whose answer can tell a failure, too.
func (t task) done(answer interface {
	GetSuccess() bool
	GetMessage() string
}, err error) error {
	if err == nil && !answer.GetSuccess() {
		return &Error{Op: t.op, Topic: t.what, Code: codes.Unknown, Text: answer.GetMessage()}
	}
	return err
}

// A Subject is a schema in the list of all.
type Subject struct {
	Name          string
	ID            uint64
	Type          SchemaType
	LatestVersion uint32 // which may have been deleted; see [Schemas.Latest]
	Compatibility Compatibility
	Tags          []string
}

// Subjects lists all subjects. It needs permission for the whole cluster.
func (s Schemas) Subjects(ctx context.Context) ([]Subject, error) {
	registry, err := s.registry()
	if err != nil {
		return nil, err
	}
	resp, err := ask(ctx, task{opListSubjects, "subjects"}, registry.ListSubjects, &schemapb.ListSubjectsRequest{})
	var list []Subject
	for _, w := range resp.GetSubjects() {
		list = append(list, Subject{
			Name: w.GetSubject(), ID: w.GetSchemaId(), Type: schemaTypeOf(w.GetSchemaType()), LatestVersion: w.GetLatestVersion(),
			Compatibility: compatibilityOf(w.GetCompatibilityMode()), Tags: w.GetTags(),
		})
	}
	return list, err
}
