package danubetest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Auth makes a broker like a real one in the mode tls: TLS on the client port, a token with every call on both ports, and no right that
// is not granted. The port of [Broker.ServeStatus] takes a token as well: of a super admin, or with ManageCluster on the cluster. Give it
// to [Secure].
type Auth struct {
	// Certificate is the server's. Without one the broker makes its own for localhost, see [Broker.RootCA].
	Certificate tls.Certificate
	// AdminTLS puts TLS on the admin port and on the status page's too, which otherwise are plain text. Tokens are demanded on them
	// either way.
	AdminTLS bool
	// Secret is what tokens are signed with. Without it every call is answered with FAILED_PRECONDITION, as by a real broker that was
	// not given one.
	Secret []byte
	// SuperAdmins are the names of principals that may do everything.
	SuperAdmins []string
	// Bindings are what everybody else may do.
	Bindings []Binding
}

// A Permission is a kind of right.
type Permission string

// The permissions.
const (
	Lookup          Permission = "Lookup"          // find topics and partitions
	Produce         Permission = "Produce"         // create producers and publish
	Consume         Permission = "Consume"         // subscribe; to receive and acknowledge it must be granted on the cluster
	Replicate       Permission = "Replicate"       // no call asks for it
	ManageNamespace Permission = "ManageNamespace" // create, delete and list namespaces
	ManageTopic     Permission = "ManageTopic"     // create, delete and list topics and subscriptions
	ManageSchema    Permission = "ManageSchema"    // write schemas and read them
	ManageBroker    Permission = "ManageBroker"    // list brokers and namespaces
	ManageCluster   Permission = "ManageCluster"   // ask for the state of the cluster; look at all and switch faults at the status page
)

var permissions = []Permission{
	Lookup, Produce, Consume, Replicate, ManageNamespace, ManageTopic, ManageSchema, ManageBroker, ManageCluster,
}

// A Binding grants a principal permissions within one scope: exactly one of Topic, Namespace and Cluster is set.
type Binding struct {
	Principal   string // principal_name of the token
	Permissions []Permission
	Topic       string // a topic, which does not include its partitions, or the subject of a schema
	Namespace   string // all topics of a namespace
	Cluster     bool   // everything
}

// Validate says what is wrong with a: a binding that names nobody, grants nothing or has not exactly one scope.
func (a Auth) Validate() error {
	for i, b := range a.Bindings {
		if err := b.validate(); err != nil {
			return fmt.Errorf("binding %d: %w", i+1, err)
		}
	}
	if slices.Contains(a.SuperAdmins, "") {
		return errors.New("a super admin has no name")
	}
	return nil
}

// Secure switches on TLS, tokens and permissions. The error is that of [Auth.Validate].
func Secure(a Auth) Option {
	return func(s *settings) error {
		if err := a.Validate(); err != nil {
			return err
		}
		g, err := newGate(a)
		if err != nil {
			return err
		}
		s.gate = g
		return nil
	}
}

// consistent says which options contradict each other.
func (s *settings) consistent() error {
	if s.gate != nil && s.advertised != "" && !strings.HasPrefix(s.advertised, "https://") {
		return fmt.Errorf("advertised URL %q would lead clients to plain text and the port has TLS; write it with https://", s.advertised)
	}
	if s.disk > 0 && s.traps.has(trapOffsetsRestart) {
		return errors.New("disk is limited, and under the trap offsets-restart the broker keeps what the real one does; leave out one of them")
	}
	if s.disk > 0 && s.dataDir == "" {
		return errors.New("disk is limited and nothing is kept on disk; name a data directory")
	}
	return nil
}

func (b Binding) validate() error {
	if b.Principal == "" {
		return errors.New("principal is missing")
	}
	if len(b.Permissions) == 0 {
		return fmt.Errorf("%s is granted no permission", b.Principal)
	}
	for _, p := range b.Permissions {
		if !slices.Contains(permissions, p) {
			return fmt.Errorf("unknown permission %q; the permissions are %s", p, joined(permissions))
		}
	}
	scopes := 0
	for _, set := range []bool{b.Topic != "", b.Namespace != "", b.Cluster} {
		if set {
			scopes++
		}
	}
	if scopes != 1 {
		return fmt.Errorf("%s has %d scopes; set one of topic, namespace and cluster", b.Principal, scopes)
	}
	return nil
}

func joined(all []Permission) string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}
