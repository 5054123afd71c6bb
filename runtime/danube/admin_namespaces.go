package danube

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// namespaces is the admin API of namespaces.
func (a *Admin) namespaces() (adminpb.NamespaceAdminClient, error) {
	conn, err := a.conn()
	if err != nil {
		return nil, err
	}
	return adminpb.NewNamespaceAdminClient(conn), nil
}

// Namespaces lists the namespaces in byte order, each once.
func (a *Admin) Namespaces(ctx context.Context) ([]string, error) {
	conn, err := a.conn()
	if err != nil {
		return nil, err
	}
	resp, err := ask(ctx, task{opListNamespaces, cluster}, adminpb.NewBrokerAdminClient(conn).ListNamespaces, &adminpb.Empty{})
	var names []string
	for _, name := range resp.GetNamespaces() {
		names = append(names, namespaceName(name))
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// CreateNamespace makes a namespace. [ErrExists] and [ErrName] tell why not.
func (a *Admin) CreateNamespace(ctx context.Context, name string) error {
	t := task{opCreateNamespace, name}
	if !topicForm.MatchString("/" + namespaceName(name) + "/x") {
		return t.refuse(codes.InvalidArgument, ErrName, "write letters, digits, _ and -")
	}
	api, err := a.namespaces()
	if err != nil {
		return err
	}
	_, err = ask(ctx, t, api.CreateNamespace, &adminpb.NamespaceRequest{Name: namespaceName(name)})
	return err
}

// DeleteNamespace removes a namespace without topics. [ErrNotFound] and [ErrNotEmpty] tell why not.
func (a *Admin) DeleteNamespace(ctx context.Context, name string) error {
	api, err := a.namespaces()
	if err != nil {
		return err
	}
	_, err = ask(ctx, task{opDeleteNamespace, name}, api.DeleteNamespace, &adminpb.NamespaceRequest{Name: namespaceName(name)})
	return err
}

// NamespacePolicies gives the limits of a namespace as the JSON object that the broker makes of them.
func (a *Admin) NamespacePolicies(ctx context.Context, name string) (json.RawMessage, error) {
	api, err := a.namespaces()
	if err != nil {
		return nil, err
	}
	resp, err := ask(ctx, task{opPolicies, name}, api.GetNamespacePolicies, &adminpb.NamespaceRequest{Name: namespaceName(name)})
	return json.RawMessage(resp.GetPolicies()), err
}

// namespaceName is the name of a namespace without the slashes that some calls put around it.
func namespaceName(name string) string { return strings.Trim(name, "/") }
