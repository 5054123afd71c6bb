package danubetest

import (
	"strings"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/schemapb"
)

// A resource is what a call wants to use.
type resource struct {
	scope scope
	name  string // empty on the cluster
}

// A scope is a kind of resource.
type scope string

const (
	clusterScope   scope = "Cluster"
	namespaceScope scope = "Namespace"
	topicScope     scope = "Topic" // subjects of schemas too
	brokerScope    scope = "Broker"
)

func (r resource) String() string {
	if r.scope == clusterScope {
		return string(r.scope)
	}
	return string(r.scope) + "(" + r.name + ")"
}

// within says whether the resource lies in what a binding is for.
func (r resource) within(b Binding) bool {
	switch {
	case b.Cluster:
		return true
	case b.Namespace != "" && r.scope == namespaceScope:
		return r.name == b.Namespace
	case b.Namespace != "" && r.scope == topicScope:
		return namespaceIn(r.name) == b.Namespace
	}
	return b.Topic != "" && r == resource{topicScope, b.Topic}
}

// namespaceIn is the namespace of a name if that is one of a topic.
func namespaceIn(name string) string {
	if parts := strings.Split(name, "/"); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// A need tells the permission that a request takes and on what; no permission means that knowing the caller is enough.
type need func(req any) (Permission, resource)

// known asks for authentication only.
func known(any) (Permission, resource) { return "", resource{} }

// onCluster needs a permission that no narrower binding gives.
func onCluster(p Permission) need {
	return func(any) (Permission, resource) { return p, resource{scope: clusterScope} }
}

// onTopic needs a permission on the topic, or subject, whose name is found in the request.
func onTopic[R any](p Permission, name func(R) string) need {
	return func(req any) (Permission, resource) { return p, resource{topicScope, name(req.(R))} }
}

// onNamespace needs a permission on the namespace that the request is about.
func onNamespace(p Permission) need {
	return func(req any) (Permission, resource) {
		return p, resource{namespaceScope, strings.Trim(req.(*adminpb.NamespaceRequest).GetName(), "/")}
	}
}

// publishing needs Produce. A message without an id names no topic and is left to the handler, which refuses it.
func publishing(req any) (Permission, resource) {
	id := req.(*danubepb.StreamMessage).GetMsgId()
	if id == nil {
		return known(req)
	}
	return Produce, resource{topicScope, id.GetTopicName()}
}

func listingBroker(req any) (Permission, resource) {
	return ManageTopic, resource{brokerScope, req.(*adminpb.BrokerRequest).GetBrokerId()}
}

// Requests that name their topic or subject in the same way.
type (
	withSubject   interface{ GetSubject() string }
	withTopicName interface{ GetTopicName() string }
	withTopic     interface{ GetTopic() string }
	withName      interface{ GetName() string }
)

// rights are the needs of every method. A method that is not here is refused to all.
//
// To receive, acknowledge and give back takes Consume on the cluster: the real broker does not look up which topic these calls are for.
// Subjects of schemas are looked for in bindings on topics.
var rights = map[string]need{
	danubepb.Discovery_TopicLookup_FullMethodName:     onTopic(Lookup, withTopic.GetTopic),
	danubepb.Discovery_TopicPartitions_FullMethodName: onTopic(Lookup, withTopic.GetTopic),

	danubepb.ProducerService_CreateProducer_FullMethodName: onTopic(Produce, withTopicName.GetTopicName),
	danubepb.ProducerService_SendMessage_FullMethodName:    publishing,

	danubepb.ConsumerService_Subscribe_FullMethodName:       onTopic(Consume, withTopicName.GetTopicName),
	danubepb.ConsumerService_ReceiveMessages_FullMethodName: onCluster(Consume),
	danubepb.ConsumerService_Ack_FullMethodName:             onCluster(Consume),
	danubepb.ConsumerService_Nack_FullMethodName:            onCluster(Consume),

	danubepb.HealthCheck_HealthCheck_FullMethodName:               known,
	danubepb.StorageService_ListSegmentDescriptors_FullMethodName: known,

	schemapb.SchemaRegistry_RegisterSchema_FullMethodName:              onTopic(ManageSchema, withSubject.GetSubject),
	schemapb.SchemaRegistry_GetLatestSchema_FullMethodName:             onTopic(ManageSchema, withSubject.GetSubject),
	schemapb.SchemaRegistry_ListVersions_FullMethodName:                onTopic(ManageSchema, withSubject.GetSubject),
	schemapb.SchemaRegistry_CheckCompatibility_FullMethodName:          onTopic(ManageSchema, withSubject.GetSubject),
	schemapb.SchemaRegistry_DeleteSchemaVersion_FullMethodName:         onTopic(ManageSchema, withSubject.GetSubject),
	schemapb.SchemaRegistry_SetCompatibilityMode_FullMethodName:        onTopic(ManageSchema, withSubject.GetSubject),
	schemapb.SchemaRegistry_GetSchema_FullMethodName:                   onCluster(ManageSchema),
	schemapb.SchemaRegistry_ListSubjects_FullMethodName:                onCluster(ManageSchema),
	schemapb.SchemaRegistry_ConfigureTopicSchema_FullMethodName:        onTopic(ManageSchema, withTopicName.GetTopicName),
	schemapb.SchemaRegistry_UpdateTopicValidationPolicy_FullMethodName: onTopic(ManageSchema, withTopicName.GetTopicName),
	schemapb.SchemaRegistry_GetTopicSchemaConfig_FullMethodName:        onTopic(ManageSchema, withTopicName.GetTopicName),

	adminpb.TopicAdmin_ListNamespaceTopics_FullMethodName:           onNamespace(ManageTopic),
	adminpb.TopicAdmin_ListBrokerTopics_FullMethodName:              listingBroker,
	adminpb.TopicAdmin_CreateTopic_FullMethodName:                   onTopic(ManageTopic, withName.GetName),
	adminpb.TopicAdmin_CreatePartitionedTopic_FullMethodName:        onTopic(ManageTopic, (*adminpb.PartitionedTopicRequest).GetBaseName),
	adminpb.TopicAdmin_DeleteTopic_FullMethodName:                   onTopic(ManageTopic, withName.GetName),
	adminpb.TopicAdmin_UnloadTopic_FullMethodName:                   onTopic(ManageTopic, withName.GetName),
	adminpb.TopicAdmin_ListSubscriptions_FullMethodName:             onTopic(ManageTopic, withName.GetName),
	adminpb.TopicAdmin_DescribeTopic_FullMethodName:                 onTopic(ManageTopic, withName.GetName),
	adminpb.TopicAdmin_Unsubscribe_FullMethodName:                   onTopic(ManageTopic, withTopic.GetTopic),
	adminpb.TopicAdmin_SetSubscriptionFailurePolicy_FullMethodName:  onTopic(ManageTopic, withTopic.GetTopic),
	adminpb.TopicAdmin_GetSubscriptionFailurePolicy_FullMethodName:  onTopic(ManageTopic, withTopic.GetTopic),
	adminpb.TopicAdmin_SetSubscriptionDispatchConfig_FullMethodName: onTopic(ManageTopic, withTopic.GetTopic),
	adminpb.TopicAdmin_GetSubscriptionDispatchConfig_FullMethodName: onTopic(ManageTopic, withTopic.GetTopic),

	adminpb.NamespaceAdmin_GetNamespaceTopics_FullMethodName:   onNamespace(ManageNamespace),
	adminpb.NamespaceAdmin_GetNamespacePolicies_FullMethodName: onNamespace(ManageNamespace),
	adminpb.NamespaceAdmin_CreateNamespace_FullMethodName:      onNamespace(ManageNamespace),
	adminpb.NamespaceAdmin_DeleteNamespace_FullMethodName:      onNamespace(ManageNamespace),

	adminpb.BrokerAdmin_ListNamespaces_FullMethodName: onCluster(ManageBroker),
	adminpb.BrokerAdmin_ListBrokers_FullMethodName:    onCluster(ManageBroker),
	adminpb.ClusterAdmin_ClusterStatus_FullMethodName: onCluster(ManageCluster),
}
