package danube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
)

// Names of administrators' calls in errors.
const (
	opListNamespaces  = "list namespaces of"
	opListTopics      = "list topics of namespace"
	opCreateNamespace = "create namespace"
	opDeleteNamespace = "delete namespace"
	opPolicies        = "read policies of namespace"
	opListBrokers     = "list brokers of"
	opClusterStatus   = "read status of"
	opCreateTopic     = "create topic"
	opDeleteTopic     = "delete topic"
	opDescribeTopic   = "describe topic"
	opListSubs        = "list subscriptions of"
	opUnsubscribe     = "unsubscribe"
	opGetPolicy       = "read failure policy of"
	opSetPolicy       = "set failure policy of"
	opGetWindow       = "read window of"
	opSetWindow       = "set window of"
	cluster           = "cluster"
)

const adminPort = "50051"

// What has just been created or closed counts a moment later; an administrator waits that long.
const settleTime = 2 * time.Second

var settling = backoff.Policy{Base: 50 * time.Millisecond, Max: 250 * time.Millisecond}

// An Admin is a client of a cluster's admin API. Partitioned topics are named without the suffix of their partitions and treated as a whole;
// the full name of a partition means that one only. Names may lack the slash at their beginning.
//
// Each call has a deadline of a few seconds and is made once, but for those that say that they wait. Failures are an [Error], for which
// errors.Is tells many reasons, such as [ErrNotFound]. The methods may be called concurrently.
type Admin struct{ client *Client }

// NewAdmin makes a client of the admin API at adminURL, such as http://localhost:50051, with the options of [New]. It does not connect.
func NewAdmin(adminURL string, opts ...Option) (*Admin, error) {
	u, err := url.Parse(adminURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, fmt.Errorf("admin URL %q is not of the form http://host:port, for example http://localhost:%s", adminURL, adminPort)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), adminPort)
	}
	c, err := New(u.String(), opts...)
	if err != nil {
		return nil, err
	}
	return &Admin{client: c}, nil
}

// Close closes the connections.
func (a *Admin) Close() error { return a.client.Close() }

func (a *Admin) conn() (*grpc.ClientConn, error) { return a.client.conn(a.client.service) }

// A Broker is a member of the cluster.
type Broker struct {
	ID         string
	URL        string // where clients reach it
	AdminURL   string
	MetricsURL string // empty where it tells no metrics
	Role       string // such as Cluster_Leader
	Status     string // such as active
}

// Brokers lists the members of the cluster. Addresses are as the brokers know them, which need not be reachable from here.
func (a *Admin) Brokers(ctx context.Context) ([]Broker, error) {
	conn, err := a.conn()
	if err != nil {
		return nil, err
	}
	resp, err := ask(ctx, task{opListBrokers, cluster}, adminpb.NewBrokerAdminClient(conn).ListBrokers, &adminpb.Empty{})
	var list []Broker
	for _, b := range resp.GetBrokers() {
		list = append(list, Broker{
			ID: b.GetBrokerId(), URL: b.GetBrokerAddr(), AdminURL: b.GetAdminAddr(), MetricsURL: b.GetMetricsAddr(),
			Role: b.GetBrokerRole(), Status: b.GetBrokerStatus(),
		})
	}
	return list, err
}

// A ClusterStatus is how the brokers agree on their metadata.
type ClusterStatus struct {
	Leader, Self     uint64 // ids of nodes; 0 when there is no leader
	Term             uint64
	Voters, Learners []uint64
	RaftAddr         string
	// MetadataEntries is the length of the metadata log, which grows with time and with what happens. The real broker v0.15 does not start
	// again once it has passed about 1000.
	MetadataEntries uint64
}

// ClusterStatus reads the state of the broker that is asked.
func (a *Admin) ClusterStatus(ctx context.Context) (ClusterStatus, error) {
	conn, err := a.conn()
	if err != nil {
		return ClusterStatus{}, err
	}
	s, err := ask(ctx, task{opClusterStatus, cluster}, adminpb.NewClusterAdminClient(conn).ClusterStatus, &adminpb.Empty{})
	return ClusterStatus{
		Leader: s.GetLeaderId(), Self: s.GetSelfNodeId(), Term: s.GetCurrentTerm(), Voters: s.GetVoters(), Learners: s.GetLearners(),
		RaftAddr: s.GetRaftAddr(), MetadataEntries: s.GetLastApplied(),
	}, err
}

// owner gives the admin API of the broker that has a topic loaded: the only one that knows what goes on there. Where it is the only broker,
// or does not say where it is, that is the one that the client was made for.
func (a *Admin) owner(brokers []Broker, id string) (adminpb.TopicAdminClient, error) {
	conn, err := a.conn()
	i := slices.IndexFunc(brokers, func(b Broker) bool { return b.ID == id })
	if err == nil && len(brokers) > 1 && i >= 0 {
		hostPort := brokers[i].AdminURL
		if _, after, found := strings.Cut(hostPort, "://"); found {
			hostPort = strings.TrimSuffix(after, "/")
		}
		if host, _, bad := net.SplitHostPort(hostPort); bad == nil && host != "" {
			conn, err = a.client.conn(address{hostPort, a.client.service.secure})
		}
	}
	if err != nil {
		return nil, err
	}
	return adminpb.NewTopicAdminClient(conn), nil
}

// patiently repeats what a moment can mend, for settleTime or until ctx is done.
func patiently(ctx context.Context, mendable error, try func() error) error {
	end := time.Now().Add(settleTime)
	for n := 1; ; n++ {
		err := try()
		if !errors.Is(err, mendable) || time.Now().After(end) {
			return err
		}
		if done := settling.Wait(ctx, n); done != nil {
			return fmt.Errorf("%w; %w", err, done)
		}
	}
}

// topicName is a topic's name with the slash at its beginning, and refuses what no topic can be called.
func (t task) topicName(name string) (string, error) {
	full := "/" + strings.TrimPrefix(name, "/")
	if !topicForm.MatchString(full) {
		return "", t.refuse(codes.InvalidArgument, ErrName, "%v", errTopicForm(name))
	}
	return full, nil
}
