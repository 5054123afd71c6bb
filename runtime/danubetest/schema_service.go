package danubetest

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/schema"
)

// schemaRegistry answers the schema registry, on the client and on the admin port. The calls about topics are in topicschema.go.
type schemaRegistry struct {
	schemapb.UnimplementedSchemaRegistryServer
	broker *Broker
}

// schemaOverhead is what a version takes in memory beside its texts, and how often these: as text, parsed and compiled.
const (
	schemaOverhead = 4096
	schemaCopies   = 8
)

// schemaSize is what a version is charged.
func schemaSize(definition, description string) int64 {
	return int64(schemaCopies*len(definition) + len(description) + schemaOverhead)
}

func (a schemaRegistry) RegisterSchema(_ context.Context, req *schemapb.RegisterSchemaRequest) (*schemapb.RegisterSchemaResponse, error) {
	failed := func(err error) error { return status.Errorf(codes.Internal, "Failed to register schema: %v", err) }
	if req.GetSubject() == "" {
		return nil, failed(errors.New("subject is empty"))
	}
	parsed, err := parseSchema(req.GetSchemaType(), req.GetSchemaDefinition())
	if err != nil {
		return nil, failed(err)
	}
	var known *schemapb.RegisterSchemaResponse
	a.broker.schemas.with(req.GetSubject(), func(s *subject) {
		if v := s.equal(parsed); v != nil {
			known = registered(s, v, false)
		}
	})
	if known != nil {
		return known, nil
	}
	size := schemaSize(string(req.GetSchemaDefinition()), req.GetDescription())
	if !a.broker.reserve(size) {
		return nil, status.Errorf(codes.ResourceExhausted, "Failed to register schema: the memory of this broker, %d bytes, is full",
			a.broker.budget.limit)
	}
	resp, err := a.broker.schemas.register(req, parsed, size)
	if !resp.GetIsNewVersion() {
		a.broker.budget.release(size)
	}
	if err != nil {
		return nil, failed(err)
	}
	return resp, nil
}

func parseSchema(kind string, definition []byte) (*schema.Schema, error) {
	k, err := schema.ParseKind(kind)
	if err != nil {
		return nil, err
	}
	return schema.Parse(k, definition)
}

// GetSchema finds a version by the subject's id; without a version it is the latest, even if that was deleted.
func (a schemaRegistry) GetSchema(_ context.Context, req *schemapb.GetSchemaRequest) (*schemapb.GetSchemaResponse, error) {
	var resp *schemapb.GetSchemaResponse
	a.broker.schemas.withID(req.GetSchemaId(), func(s *subject) {
		v := s.latest()
		if req.Version != nil {
			v = s.version(req.GetVersion())
		}
		if v != nil {
			resp = s.wire(v)
		}
	})
	if resp == nil {
		return nil, status.Errorf(codes.NotFound, "Schema not found for ID %d%s", req.GetSchemaId(), ofVersion(req.Version))
	}
	return resp, nil
}

func ofVersion(n *uint32) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf(" version %d", *n)
}

func (a schemaRegistry) GetLatestSchema(_ context.Context, req *schemapb.GetLatestSchemaRequest) (*schemapb.GetSchemaResponse, error) {
	var resp *schemapb.GetSchemaResponse
	if !a.broker.schemas.with(req.GetSubject(), func(s *subject) { resp = s.wire(s.latest()) }) {
		return nil, status.Errorf(codes.NotFound, "Schema not found for subject: %s", req.GetSubject())
	}
	return resp, nil
}

func errNoSubject(name string) error {
	return status.Errorf(codes.NotFound, "Subject not found: %s", name)
}

func (a schemaRegistry) ListVersions(_ context.Context, req *schemapb.ListVersionsRequest) (*schemapb.ListVersionsResponse, error) {
	resp := &schemapb.ListVersionsResponse{}
	found := a.broker.schemas.with(req.GetSubject(), func(s *subject) {
		for _, v := range s.versions {
			if v.deleted {
				continue
			}
			resp.Versions = append(resp.Versions, &schemapb.SchemaVersionInfo{
				Version:     v.number,
				CreatedAt:   uint64(v.createdAt.Unix()),
				CreatedBy:   v.createdBy,
				Description: v.description,
				Fingerprint: v.schema.Fingerprint(),
				SchemaId:    s.id,
			})
		}
	})
	if !found {
		return nil, errNoSubject(req.GetSubject())
	}
	return resp, nil
}

// CheckCompatibility compares with the latest version and registers nothing. A mode that is not known is ignored.
func (a schemaRegistry) CheckCompatibility(_ context.Context, req *schemapb.CheckCompatibilityRequest) (*schemapb.CheckCompatibilityResponse, error) {
	failed := func(err error) error { return status.Errorf(codes.Internal, "Failed to check compatibility: %v", err) }
	parsed, err := parseSchema(req.GetSchemaType(), req.GetNewSchemaDefinition())
	if err != nil {
		return nil, failed(err)
	}
	var problems []string
	found := a.broker.schemas.with(req.GetSubject(), func(s *subject) {
		mode := s.mode
		if wanted, err := schema.ParseMode(req.GetCompatibilityMode()); err == nil {
			mode = wanted
		}
		problems = schema.Incompatible(mode, s.latest().schema, parsed)
	})
	if !found {
		return nil, failed(fmt.Errorf("subject %s not found", req.GetSubject()))
	}
	return &schemapb.CheckCompatibilityResponse{IsCompatible: len(problems) == 0, Errors: problems}, nil
}

// DeleteSchemaVersion hides a version from ListVersions and from calls that ask for it by number.
func (a schemaRegistry) DeleteSchemaVersion(_ context.Context, req *schemapb.DeleteSchemaVersionRequest) (*schemapb.DeleteSchemaVersionResponse, error) {
	deleted := false
	found := a.broker.schemas.change(req.GetSubject(), func(s *subject) {
		if v := s.version(req.GetVersion()); v != nil {
			v.deleted, deleted = true, true
			a.broker.schemas.keepVersion(s, v)
		}
	})
	switch {
	case !found:
		return nil, errNoSubject(req.GetSubject())
	case !deleted:
		return nil, status.Errorf(codes.NotFound, "Subject %s has no version %d", req.GetSubject(), req.GetVersion())
	}
	return &schemapb.DeleteSchemaVersionResponse{
		Success: true,
		Message: fmt.Sprintf("Deleted version %d of subject %s", req.GetVersion(), req.GetSubject()),
	}, nil
}

func (a schemaRegistry) SetCompatibilityMode(_ context.Context, req *schemapb.SetCompatibilityModeRequest) (*schemapb.SetCompatibilityModeResponse, error) {
	mode, err := schema.ParseMode(req.GetCompatibilityMode())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid compatibility mode: %v", err)
	}
	found := a.broker.schemas.change(req.GetSubject(), func(s *subject) {
		s.mode = mode
		a.broker.schemas.keepSubject(s)
	})
	if !found {
		return nil, status.Errorf(codes.Internal, "Failed to set compatibility mode: subject %s not found", req.GetSubject())
	}
	return &schemapb.SetCompatibilityModeResponse{
		Success: true,
		Message: fmt.Sprintf("Compatibility mode of subject %s is %s", req.GetSubject(), mode),
	}, nil
}

func (a schemaRegistry) ListSubjects(context.Context, *schemapb.ListSubjectsRequest) (*schemapb.ListSubjectsResponse, error) {
	return &schemapb.ListSubjectsResponse{Subjects: a.broker.schemas.summaries()}, nil
}
