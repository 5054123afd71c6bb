package danube

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
)

// Version gives the schema of a message by its SchemaID and SchemaVersion. It is read once and kept, since a version never changes: also one
// that is deleted meanwhile, whose messages are still there. Several that ask at the same time share one call. It needs permission for
// the whole cluster.
func (s Schemas) Version(ctx context.Context, id uint64, version uint32) (Schema, error) {
	if id == 0 || version == 0 {
		t := task{opGetSchema, fmt.Sprintf("%d version %d", id, version)}
		return Schema{}, t.refuse(codes.InvalidArgument, ErrNotFound, "ids and versions begin at 1; 0 in a message means that it has no schema")
	}
	return s.client.schemas.get(ctx, schemaKey{id, version}, func(ctx context.Context) (Schema, error) {
		return s.read(ctx, id, version)
	})
}

// read asks the registry for a version.
func (s Schemas) read(ctx context.Context, id uint64, version uint32) (Schema, error) {
	registry, err := s.registry()
	if err != nil {
		return Schema{}, err
	}
	t := task{opGetSchema, fmt.Sprintf("%d version %d", id, version)}
	resp, err := ask(ctx, t, registry.GetSchema, &schemapb.GetSchemaRequest{SchemaId: id, Version: &version})
	if err != nil {
		return Schema{}, err
	}
	return schemaFromWire(resp), nil
}

// Latest gives the newest version of a subject that has not been deleted. It is asked for each time, in two calls, since the registry goes
// on calling a deleted version the latest; only where it does so is a third call made, which needs permission for the whole cluster.
func (s Schemas) Latest(ctx context.Context, subject string) (Schema, error) {
	registry, err := s.registry()
	if err != nil {
		return Schema{}, err
	}
	t := task{opGetSchema, subject}
	resp, err := ask(ctx, t, registry.GetLatestSchema, &schemapb.GetLatestSchemaRequest{Subject: subject})
	if err != nil {
		return Schema{}, err
	}
	versions, err := s.Versions(ctx, subject)
	switch {
	case err != nil:
		return Schema{}, err
	case len(versions) == 0:
		return Schema{}, t.refuse(codes.NotFound, ErrNotFound, "all versions have been deleted")
	case slices.ContainsFunc(versions, func(v SchemaVersion) bool { return v.Version == resp.GetVersion() }):
		return schemaFromWire(resp), nil
	}
	newest := versions[len(versions)-1]
	return s.read(ctx, newest.ID, newest.Version)
}

// A SchemaReference names the schema that the messages of a producer have. The zero value names none.
type SchemaReference struct {
	Subject string // empty for none
	// Version is the version that is meant, 0 for the newest one.
	Version uint32
	// AtLeast refuses subjects whose newest version is older; 0 takes any. It goes with Version 0 only.
	AtLeast uint32
}

// check finds what no registry can mend.
func (r SchemaReference) check() error {
	switch {
	case r.Subject == "" && (r.Version != 0 || r.AtLeast != 0):
		return fmt.Errorf("version %d of a schema is asked for without a subject", max(r.Version, r.AtLeast))
	case r.Version != 0 && r.AtLeast != 0:
		return fmt.Errorf("schema %s: both a version, %d, and a lowest one, %d, are asked for; leave one of them 0", r.Subject, r.Version, r.AtLeast)
	}
	return nil
}

// Resolve finds the schema that a reference means now, as producers do when they register. Only ID and Version are given, so that a
// permission for the subject is enough. The newest version is the newest that has not been deleted: readers cannot get deleted ones.
// [ErrNotFound] is a subject or version that is not there, or older than it has to be.
func (s Schemas) Resolve(ctx context.Context, r SchemaReference) (id uint64, version uint32, err error) {
	t := task{opGetSchema, r.Subject}
	if err := r.check(); err != nil {
		return 0, 0, t.refuse(codes.InvalidArgument, ErrName, "%v", err)
	}
	versions, err := s.Versions(ctx, r.Subject)
	if err != nil {
		return 0, 0, err
	}
	if len(versions) == 0 {
		return 0, 0, t.refuse(codes.NotFound, ErrNotFound, "all versions have been deleted")
	}
	newest := versions[len(versions)-1]
	if r.Version == 0 && newest.Version >= r.AtLeast {
		return newest.ID, newest.Version, nil
	}
	for _, v := range versions {
		if v.Version == r.Version {
			return v.ID, v.Version, nil
		}
	}
	return 0, 0, t.refuse(codes.NotFound, ErrNotFound, "version %d is needed and the newest is %d; register it first", max(r.Version, r.AtLeast), newest.Version)
}
