package danube

import (
	"context"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// schema finds the schema of the producer's messages; the zero value is none. It is asked for before CreateProducer, which creates the topic
// also when the subject is missing.
func (p *Producer) schema(ctx context.Context) (schemaKey, error) {
	if p.settings.Schema.Subject == "" {
		return schemaKey{}, nil
	}
	id, version, err := p.client.Schemas().Resolve(ctx, p.settings.Schema)
	return schemaKey{id, version}, err
}

// stamp gives the message the producer's schema if it names none, anew after each registration.
func (s *sending) stamp() {
	if k := s.at.schema; k.id != 0 && (s.stamped || s.message.SchemaID == 0) {
		s.message.SchemaID, s.message.SchemaVersion, s.stamped = k.id, k.version, true
	}
}

// wire is the reference as CreateProducer takes it, which looks at the subject only.
func (r SchemaReference) wire() *pb.SchemaReference {
	w := &pb.SchemaReference{Subject: r.Subject}
	switch {
	case r.Subject == "":
		return nil
	case r.Version != 0:
		w.VersionRef = &pb.SchemaReference_PinnedVersion{PinnedVersion: r.Version}
	case r.AtLeast != 0:
		w.VersionRef = &pb.SchemaReference_MinVersion{MinVersion: r.AtLeast}
	default:
		w.VersionRef = &pb.SchemaReference_UseLatest{UseLatest: true}
	}
	return w
}
