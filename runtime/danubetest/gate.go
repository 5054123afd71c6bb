package danubetest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A gate decides which calls are let in. The metadata x-danube-internal-broker, by which a real broker takes any caller for another
// broker with full rights, means nothing to it.
type gate struct {
	certificate tls.Certificate
	rootCA      []byte // PEM, only of a certificate that the broker made
	adminTLS    bool
	secret      []byte
	supers      []string
	bindings    map[string][]Binding // by principal

	told onceEach
}

func newGate(a Auth) (*gate, error) {
	g := &gate{
		certificate: a.Certificate,
		adminTLS:    a.AdminTLS,
		secret:      slices.Clone(a.Secret),
		supers:      slices.Clone(a.SuperAdmins),
		bindings:    make(map[string][]Binding),
	}
	for _, b := range a.Bindings {
		b.Permissions = slices.Clone(b.Permissions)
		b.Namespace = strings.Trim(b.Namespace, "/")
		g.bindings[b.Principal] = append(g.bindings[b.Principal], b)
	}
	if len(g.certificate.Certificate) > 0 {
		return g, nil
	}
	var err error
	if g.certificate, g.rootCA, err = selfSigned(); err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return g, nil
}

var errNoCredentials = errors.New("no token; send it in the metadata as authorization: Bearer <token>")

// authenticate tells who makes a call with these values of authorization.
func (g *gate) authenticate(credentials []string) (principal, error) {
	for _, value := range credentials {
		token, ok := strings.CutPrefix(value, "Bearer ")
		if !ok {
			token, ok = strings.CutPrefix(value, "bearer ")
		}
		if ok {
			return verifyToken(g.secret, token, time.Now())
		}
	}
	return principal{}, errNoCredentials
}

// admit says why a call must not be answered; req is nil for streams. The first call that is not admitted for a reason that has to do
// with its token is logged.
func (g *gate) admit(log *slog.Logger, credentials []string, method string, needs need, req any) error {
	if len(g.secret) == 0 {
		g.told.warn(log, "no secret", "every call is refused: the broker has no secret to check tokens with", "mend", "give it one")
		return status.Error(codes.FailedPrecondition, "JWT authentication is not configured on this broker")
	}
	who, err := g.authenticate(credentials)
	if errors.Is(err, errNoCredentials) {
		g.told.warn(log, err.Error(), "call without a token", "method", method, "error", err)
		return status.Error(codes.Unauthenticated, "Authentication credentials are missing")
	}
	if err != nil {
		g.told.warn(log, err.Error(), "call with an invalid token", "method", method, "error", err)
		return status.Errorf(codes.Unauthenticated, "Invalid token: %v", err)
	}
	if needs == nil {
		return status.Errorf(codes.PermissionDenied, "no binding grants %s for %s", method, who)
	}
	permission, on := needs(req)
	if permission == "" || g.granted(who, permission, on) {
		return nil
	}
	return status.Errorf(codes.PermissionDenied, "no binding grants %s on %s for %s", permission, on, who)
}

// granted says whether somebody has a permission: on what is asked for, its namespace, or the cluster.
func (g *gate) granted(who principal, permission Permission, on resource) bool {
	if slices.Contains(g.supers, who.name) {
		return true
	}
	return slices.ContainsFunc(g.bindings[who.name], func(b Binding) bool {
		return slices.Contains(b.Permissions, permission) && on.within(b)
	})
}

// gateCall and gateStream are the gate in front of the services.
func (b *Broker) gateCall(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := b.admitCall(ctx, info.FullMethod, req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (b *Broker) gateStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := b.admitCall(ss.Context(), info.FullMethod, nil); err != nil {
		return err
	}
	return handler(srv, ss)
}

func (b *Broker) admitCall(ctx context.Context, method string, req any) error {
	return b.settings.gate.admit(b.log, metadata.ValueFromIncomingContext(ctx, "authorization"), method, rights[method], req)
}

// onceEach logs one warning of each kind; later ones are logged for debugging only. There must be few kinds.
type onceEach struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (o *onceEach) warn(log *slog.Logger, kind, message string, args ...any) {
	o.mu.Lock()
	level := slog.LevelWarn
	if o.seen[kind] {
		level = slog.LevelDebug
	}
	if o.seen == nil {
		o.seen = make(map[string]bool)
	}
	o.seen[kind] = true
	o.mu.Unlock()
	log.Log(context.Background(), level, message, args...)
}
