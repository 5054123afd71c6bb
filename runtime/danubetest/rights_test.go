package danubetest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// sign is the signature of a token, made apart from the broker's code.
func sign(key []byte, signed string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// secureBubble is bubble with a secured broker and a token of root that lasts an hour.
func secureBubble(t *testing.T, auth danubetest.Auth, test func(*testing.T, *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := danubetest.New(danubetest.Secure(auth))
		require.NoError(t, err)
		l := bufconn.Listen(1 << 20)
		require.NoError(t, b.Serve(l, nil))
		t.Cleanup(b.Close)
		pool := x509.NewCertPool()
		require.True(t, pool.AppendCertsFromPEM(b.RootCA()))
		conn, err := grpc.NewClient("passthrough:///localhost", grpc.WithContextDialer(dialer(l)),
			grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "localhost")),
			grpc.WithPerRPCCredentials(withToken(auth.Token("root", time.Hour))))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		test(t, newClient(t, b, conn, conn))
	})
}

const (
	onCluster = "Cluster"
	onTopic   = "Topic(/default/orders)"
	onSubject = "Topic(user)"
	onSpace   = "Namespace(default)"
)

// permissionTable is what every method needs and a request for it.
func permissionTable() map[string]struct {
	permission danubetest.Permission
	on         string
	req        proto.Message
} {
	type row = struct {
		permission danubetest.Permission
		on         string
		req        proto.Message
	}
	id := &danubepb.MsgID{TopicName: orders}
	topic, space := &adminpb.TopicRequest{Name: orders}, &adminpb.NamespaceRequest{Name: "/default"}
	return map[string]row{
		"TopicLookup":     {danubetest.Lookup, onTopic, &danubepb.TopicLookupRequest{Topic: orders}},
		"TopicPartitions": {danubetest.Lookup, onTopic, &danubepb.TopicLookupRequest{Topic: orders}},
		"CreateProducer":  {danubetest.Produce, onTopic, &danubepb.ProducerRequest{TopicName: orders}},
		"SendMessage":     {danubetest.Produce, onTopic, &danubepb.StreamMessage{MsgId: id}},
		"Subscribe":       {danubetest.Consume, onTopic, &danubepb.ConsumerRequest{TopicName: orders}},
		"ReceiveMessages": {danubetest.Consume, onCluster, &danubepb.ReceiveRequest{}},
		"Ack":             {danubetest.Consume, onCluster, &danubepb.AckRequest{MsgId: id}},
		"Nack":            {danubetest.Consume, onCluster, &danubepb.NackRequest{MsgId: id}},

		"HealthCheck":            {"", "", &danubepb.HealthCheckRequest{}},
		"ListSegmentDescriptors": {"", "", &danubepb.ListSegmentDescriptorsRequest{}},

		"RegisterSchema":              {danubetest.ManageSchema, onSubject, &schemapb.RegisterSchemaRequest{Subject: "user"}},
		"GetLatestSchema":             {danubetest.ManageSchema, onSubject, &schemapb.GetLatestSchemaRequest{Subject: "user"}},
		"ListVersions":                {danubetest.ManageSchema, onSubject, &schemapb.ListVersionsRequest{Subject: "user"}},
		"CheckCompatibility":          {danubetest.ManageSchema, onSubject, &schemapb.CheckCompatibilityRequest{Subject: "user"}},
		"DeleteSchemaVersion":         {danubetest.ManageSchema, onSubject, &schemapb.DeleteSchemaVersionRequest{Subject: "user"}},
		"SetCompatibilityMode":        {danubetest.ManageSchema, onSubject, &schemapb.SetCompatibilityModeRequest{Subject: "user"}},
		"GetSchema":                   {danubetest.ManageSchema, onCluster, &schemapb.GetSchemaRequest{SchemaId: 1}},
		"ListSubjects":                {danubetest.ManageSchema, onCluster, &schemapb.ListSubjectsRequest{}},
		"ConfigureTopicSchema":        {danubetest.ManageSchema, onTopic, &schemapb.ConfigureTopicSchemaRequest{TopicName: orders}},
		"UpdateTopicValidationPolicy": {danubetest.ManageSchema, onTopic, &schemapb.UpdateTopicValidationPolicyRequest{TopicName: orders}},
		"GetTopicSchemaConfig":        {danubetest.ManageSchema, onTopic, &schemapb.GetTopicSchemaConfigRequest{TopicName: orders}},

		"ListNamespaceTopics":           {danubetest.ManageTopic, onSpace, space},
		"ListBrokerTopics":              {danubetest.ManageTopic, "Broker(1)", &adminpb.BrokerRequest{BrokerId: "1"}},
		"CreateTopic":                   {danubetest.ManageTopic, onTopic, &adminpb.NewTopicRequest{Name: orders}},
		"CreatePartitionedTopic":        {danubetest.ManageTopic, onTopic, &adminpb.PartitionedTopicRequest{BaseName: orders}},
		"DeleteTopic":                   {danubetest.ManageTopic, onTopic, topic},
		"UnloadTopic":                   {danubetest.ManageTopic, onTopic, topic},
		"ListSubscriptions":             {danubetest.ManageTopic, onTopic, topic},
		"DescribeTopic":                 {danubetest.ManageTopic, onTopic, &adminpb.DescribeTopicRequest{Name: orders}},
		"Unsubscribe":                   {danubetest.ManageTopic, onTopic, &adminpb.SubscriptionRequest{Topic: orders}},
		"SetSubscriptionFailurePolicy":  {danubetest.ManageTopic, onTopic, &adminpb.SetSubscriptionFailurePolicyRequest{Topic: orders}},
		"GetSubscriptionFailurePolicy":  {danubetest.ManageTopic, onTopic, &adminpb.GetSubscriptionFailurePolicyRequest{Topic: orders}},
		"SetSubscriptionDispatchConfig": {danubetest.ManageTopic, onTopic, &adminpb.SetSubscriptionDispatchConfigRequest{Topic: orders}},
		"GetSubscriptionDispatchConfig": {danubetest.ManageTopic, onTopic, &adminpb.GetSubscriptionDispatchConfigRequest{Topic: orders}},

		"GetNamespaceTopics":   {danubetest.ManageNamespace, onSpace, space},
		"GetNamespacePolicies": {danubetest.ManageNamespace, onSpace, space},
		"CreateNamespace":      {danubetest.ManageNamespace, onSpace, space},
		"DeleteNamespace":      {danubetest.ManageNamespace, onSpace, space},
		"ListNamespaces":       {danubetest.ManageBroker, onCluster, &adminpb.Empty{}},
		"ListBrokers":          {danubetest.ManageBroker, onCluster, &adminpb.Empty{}},
		"ClusterStatus":        {danubetest.ManageCluster, onCluster, &adminpb.Empty{}},
	}
}

var everyPermission = []danubetest.Permission{
	danubetest.Lookup, danubetest.Produce, danubetest.Consume, danubetest.Replicate, danubetest.ManageNamespace, danubetest.ManageTopic,
	danubetest.ManageSchema, danubetest.ManageBroker, danubetest.ManageCluster,
}

// permissionAuth grants, per permission P: to "only-P-cluster", -namespace, -topic and -subject just P in that scope, and to "not-P"
// everything else on the cluster.
func permissionAuth() danubetest.Auth {
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}, AdminTLS: true}
	for _, p := range everyPermission {
		others := slices.DeleteFunc(slices.Clone(everyPermission), func(o danubetest.Permission) bool { return o == p })
		only := []danubetest.Permission{p}
		name := "only-" + string(p)
		auth.Bindings = append(auth.Bindings,
			danubetest.Binding{Principal: name + "-cluster", Permissions: only, Cluster: true},
			danubetest.Binding{Principal: name + "-namespace", Permissions: only, Namespace: "default"},
			danubetest.Binding{Principal: name + "-topic", Permissions: only, Topic: orders},
			danubetest.Binding{Principal: name + "-subject", Permissions: only, Topic: "user"},
			danubetest.Binding{Principal: "not-" + string(p), Permissions: others, Cluster: true})
	}
	return auth
}

// TestPermissionTable calls every method of every service as principals that just may and that just may not.
func TestPermissionTable(t *testing.T) {
	t.Parallel()
	auth := permissionAuth()
	b := danubetest.Start(t, danubetest.Secure(auth))
	apiConn, adminConn := dialURL(t, b, b.URL(), nil), dialURL(t, b, b.AdminURL(), nil)
	api, admin := methods()
	table := permissionTable()
	for i, method := range append(api, admin...) {
		conn := apiConn
		if i >= len(api) {
			conn = adminConn
		}
		row, ok := table[method[strings.LastIndex(method, "/")+1:]]
		require.True(t, ok, "%s is not in the table", method)
		as := func(name string) error {
			return callAs(t, conn, method, row.req, withToken(auth.Token(name, time.Hour)))
		}
		t.Run(method, func(t *testing.T) {
			require.NotEqual(t, codes.PermissionDenied, status.Code(as("root")))
			if row.permission == "" {
				require.NoError(t, as("nobody"))
				require.Equal(t, codes.Unauthenticated, status.Code(callAs(t, conn, method, row.req, nil)))
				return
			}
			name, text := string(row.permission), "no binding grants "+string(row.permission)+" on "+row.on+" for service_account:"
			requireStatus(t, as("nobody"), codes.PermissionDenied, text+"nobody")
			requireStatus(t, as("not-"+name), codes.PermissionDenied, text+"not-"+name)
			for scope, covered := range map[string]bool{
				"cluster":   true,
				"namespace": row.on == onTopic || row.on == onSpace,
				"topic":     row.on == onTopic,
				"subject":   row.on == onSubject,
			} {
				denied := strings.HasPrefix(status.Convert(as("only-"+name+"-"+scope)).Message(), "no binding grants")
				require.Equal(t, covered, !denied, "with %s on the %s", name, scope)
			}
		})
	}
}

// callAs makes a unary call, or reads the first message of a stream.
func callAs(t *testing.T, conn *grpc.ClientConn, method string, req proto.Message, md bearer) error {
	t.Helper()
	opt := grpc.PerRPCCredentials(md)
	if strings.HasSuffix(method, "/ReceiveMessages") {
		stream, err := danubepb.NewConsumerServiceClient(conn).ReceiveMessages(t.Context(), req.(*danubepb.ReceiveRequest), opt)
		require.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	var answer []byte
	raw, err := proto.Marshal(req)
	require.NoError(t, err)
	return conn.Invoke(t.Context(), method, raw, &answer, grpc.ForceCodecV2(rawCodec{}), opt)
}

// FuzzToken sends arbitrary tokens. None is good, and the broker lives on.
func FuzzToken(f *testing.F) {
	auth := danubetest.Auth{Secret: secret, SuperAdmins: []string{"root"}}
	for _, seed := range []string{"", "..", "a.b.c", forge(secret, "{}", "{}"), forge(nil, hs256, "{}"), forge(secret, hs256, `{"exp":1e400}`)} {
		f.Add(seed)
	}
	b := danubetest.Start(f, danubetest.Secure(auth))
	conn := dialURL(f, b, b.URL(), nil)
	f.Fuzz(func(t *testing.T, token string) {
		if strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // it cannot be sent
		}
		err := callAs(t, conn, danubepb.HealthCheck_HealthCheck_FullMethodName, &danubepb.HealthCheckRequest{}, withToken(token))
		require.Equal(t, codes.Unauthenticated, status.Code(err), "%v", err)
	})
}
