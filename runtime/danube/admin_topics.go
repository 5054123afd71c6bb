package danube

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
)

// A TopicInfo is a topic in a list, with all its partitions.
type TopicInfo struct {
	Name       string // without partition suffix
	Partitions []int  // the numbers of the partitions there are, in order; nil for a plain topic
	Reliable   bool
	brokers    []string // ids of the brokers that have the partitions, in their order; one for a plain topic
}

// Names are the names under which the broker knows the topic: one for each partition, in order of their numbers.
func (t TopicInfo) Names() []string {
	if t.Partitions == nil {
		return []string{t.Name}
	}
	names := make([]string, len(t.Partitions))
	for i, n := range t.Partitions {
		names[i] = PartitionName(t.Name, n)
	}
	return names
}

// Topics lists the topics of a namespace, or of all if it is empty, in byte order. [ErrNotFound] is a namespace that does not exist.
func (a *Admin) Topics(ctx context.Context, namespace string) ([]TopicInfo, error) {
	namespaces := []string{namespaceName(namespace)}
	if namespace == "" {
		var err error
		if namespaces, err = a.Namespaces(ctx); err != nil {
			return nil, err
		}
	}
	var all []TopicInfo
	for _, name := range namespaces {
		topics, err := a.topicsOf(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, merge(topics)...)
	}
	if len(all) > 0 || namespace == "" {
		return all, nil
	}
	known, err := a.Namespaces(ctx) // the list of one that does not exist is empty, too
	if err == nil && !slices.Contains(known, namespaceName(namespace)) {
		err = task{opListTopics, namespace}.refuse(codes.NotFound, ErrNotFound, "there is no such namespace")
	}
	return nil, err
}

// topicsOf lists topics and partitions of a namespace in order. The broker repeats names, and takes the namespace for a mere prefix.
func (a *Admin) topicsOf(ctx context.Context, namespace string) ([]*adminpb.TopicInfo, error) {
	conn, err := a.conn()
	if err != nil {
		return nil, err
	}
	t := task{opListTopics, namespace}
	resp, err := ask(ctx, t, adminpb.NewTopicAdminClient(conn).ListNamespaceTopics, &adminpb.NamespaceRequest{Name: namespace})
	var list []*adminpb.TopicInfo
	for _, topic := range resp.GetTopics() {
		topic.Name = "/" + strings.TrimPrefix(topic.GetName(), "/")
		if strings.HasPrefix(topic.GetName(), "/"+namespace+"/") {
			list = append(list, topic)
		}
	}
	order := func(a, b *adminpb.TopicInfo) int {
		nameA, partA := splitPartition(a.GetName())
		nameB, partB := splitPartition(b.GetName())
		return cmp.Or(strings.Compare(nameA, nameB), cmp.Compare(partA, partB))
	}
	slices.SortFunc(list, order)
	return slices.CompactFunc(list, func(a, b *adminpb.TopicInfo) bool { return a.GetName() == b.GetName() }), err
}

// merge makes one topic of its partitions, which follow each other in list.
func merge(list []*adminpb.TopicInfo) []TopicInfo {
	var topics []TopicInfo
	for _, w := range list {
		name, partition := splitPartition(w.GetName())
		if n := len(topics); n == 0 || topics[n-1].Name != name {
			topics = append(topics, TopicInfo{Name: name, Reliable: w.GetDelivery() == "Reliable"})
		}
		last := &topics[len(topics)-1]
		last.brokers = append(last.brokers, w.GetBrokerId())
		if partition >= 0 {
			last.Partitions = append(last.Partitions, partition)
		}
	}
	return topics
}

// find finds a topic with its partitions, or a single partition, which then looks like a plain topic. Asked about a topic that does not exist
// the broker tells of one without subscriptions, so that its list has to tell.
func (a *Admin) find(ctx context.Context, t task, topic string) (TopicInfo, error) {
	name, err := t.topicName(topic)
	if err != nil {
		return TopicInfo{}, err
	}
	all, err := a.topicsOf(ctx, strings.Split(name, "/")[1])
	if err != nil {
		return TopicInfo{}, err
	}
	for _, found := range merge(all) {
		if found.Name == name {
			return found, nil
		}
	}
	for _, w := range all {
		if w.GetName() == name {
			return TopicInfo{Name: name, Reliable: w.GetDelivery() == "Reliable", brokers: []string{w.GetBrokerId()}}, nil
		}
	}
	return TopicInfo{}, t.refuse(codes.NotFound, ErrNotFound, "there is no such topic")
}

// A NewTopic is a topic that is to be created.
type NewTopic struct {
	Name          string // /namespace/topic
	Partitions    int    // 0 for a plain topic
	Reliable      bool
	SchemaSubject string // registered; empty for none
}

// CreateTopic makes a topic with its partitions, which can be used within half a second. [ErrExists], [ErrNotFound] for the namespace or the
// schema, [ErrName] and [ErrNameBlocked] tell why not. Create a topic before those whose names begin with its name, such as the one
// of its dead letters.
func (a *Admin) CreateTopic(ctx context.Context, n NewTopic) error {
	n.Name = "/" + strings.TrimPrefix(n.Name, "/")
	t := task{opCreateTopic, n.Name}
	if err := CheckTopic(n.Name); err != nil {
		return t.refuse(codes.InvalidArgument, ErrName, "%v", err)
	}
	if n.Partitions < 0 {
		return t.refuse(codes.InvalidArgument, nil, "%d partitions are less than none", n.Partitions)
	}
	conn, err := a.conn()
	if err != nil {
		return err
	}
	api, strategy := adminpb.NewTopicAdminClient(conn), adminpb.DispatchStrategy_NonReliable
	if n.Reliable {
		strategy = adminpb.DispatchStrategy_Reliable
	}
	var subject *string
	if n.SchemaSubject != "" {
		subject = &n.SchemaSubject
	}
	if n.Partitions == 0 {
		_, err = ask(ctx, t, api.CreateTopic, &adminpb.NewTopicRequest{Name: n.Name, SchemaSubject: subject, DispatchStrategy: strategy})
	} else {
		_, err = ask(ctx, t, api.CreatePartitionedTopic, &adminpb.PartitionedTopicRequest{
			BaseName: n.Name, Partitions: uint32(n.Partitions), SchemaSubject: subject, DispatchStrategy: strategy,
		})
	}
	if errors.Is(err, ErrExists) {
		return a.whatExists(ctx, t, err)
	}
	return err
}

// whatExists explains why a topic "already exists": the broker takes each topic whose name begins like that for a partition.
func (a *Admin) whatExists(ctx context.Context, t task, refused error) error {
	var e *Error
	found, err := a.find(ctx, t, t.what)
	switch {
	case !errors.As(refused, &e) || err != nil && !errors.Is(err, ErrNotFound):
		return refused
	case err != nil:
		return t.refuse(e.Code, ErrNameBlocked, "%s; there is no such topic, but one whose name begins like that, "+
			"which the broker takes for a partition: choose another name", e.Text)
	}
	return t.refuse(e.Code, ErrExists, "%s; it has %d partitions", e.Text, len(found.Partitions))
}

// DeleteTopic removes a topic with all its partitions, messages and subscriptions, and waits up to a few seconds until it is gone.
// [ErrNotFound] is a topic that does not exist; [ErrName] a single partition, which brokers do not delete, or another name with -part-
// in it, which they take for one.
func (a *Admin) DeleteTopic(ctx context.Context, topic string) error {
	t := task{opDeleteTopic, topic}
	name, err := t.topicName(topic)
	if err != nil {
		return err
	}
	if base, partition := splitPartition(name); partition >= 0 {
		return t.refuse(codes.InvalidArgument, ErrName, "it is a partition, and partitions are deleted together; delete %s", base)
	}
	if _, err := a.find(ctx, t, name); err != nil {
		return err
	}
	if err := a.deleteExactly(ctx, t, name); err != nil {
		if strings.Contains(name, partitionInfix) {
			return t.refuse(codes.NotFound, ErrName, "%v; a cluster takes every name with %q in it for a partition", err, partitionInfix)
		}
		return err
	}
	return patiently(ctx, errStillThere, func() error {
		rest, err := a.find(ctx, t, name)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err != nil:
			return err
		}
		// A standalone broker deletes the very name only, and a cluster refuses the names of partitions while it deletes them.
		e := &Error{Op: t.op, Topic: name, Code: codes.Unknown, Text: "it is still there", Kind: errStillThere}
		for _, part := range rest.Names() {
			if err := a.deleteExactly(ctx, task{opDeleteTopic, part}, part); err != nil {
				e.Text = "it is still there: " + err.Error()
			}
		}
		return e
	})
}

var errStillThere = errors.New("still there")

func (a *Admin) deleteExactly(ctx context.Context, t task, name string) error {
	conn, err := a.conn()
	if err != nil {
		return err
	}
	_, err = ask(ctx, t, adminpb.NewTopicAdminClient(conn).DeleteTopic, &adminpb.TopicRequest{Name: name})
	return err
}

// A TopicDescription is all that the broker tells of a topic.
type TopicDescription struct {
	TopicInfo
	Subscriptions []string // of all partitions, each once, in byte order
	Schema        *TopicSubject
}

// A TopicSubject is the schema of a topic, which is the latest version of its subject at the time of asking, deleted or not.
type TopicSubject struct {
	Subject       string
	ID            uint64
	Version       uint32
	Type          SchemaType
	Compatibility Compatibility
}

// DescribeTopic tells about a topic; its schema is that of the first partition. [ErrNotFound] is a topic that does not exist, which the
// broker itself describes as one without subscriptions.
func (a *Admin) DescribeTopic(ctx context.Context, topic string) (TopicDescription, error) {
	found, err := a.find(ctx, task{opDescribeTopic, topic}, topic)
	if err != nil {
		return TopicDescription{}, err
	}
	about := TopicDescription{TopicInfo: found}
	conn, err := a.conn()
	if err != nil {
		return TopicDescription{}, err
	}
	for i, name := range found.Names() {
		t := task{opDescribeTopic, name}
		d, err := ask(ctx, t, adminpb.NewTopicAdminClient(conn).DescribeTopic, &adminpb.DescribeTopicRequest{Name: name})
		if err != nil {
			return TopicDescription{}, err
		}
		about.Subscriptions = append(about.Subscriptions, d.GetSubscriptions()...)
		if i == 0 && d.GetSchemaSubject() != "" {
			about.Schema = &TopicSubject{
				Subject: d.GetSchemaSubject(), ID: d.GetSchemaId(), Version: d.GetSchemaVersion(),
				Type: schemaTypeOf(d.GetSchemaType()), Compatibility: compatibilityOf(d.GetCompatibilityMode()),
			}
		}
	}
	slices.Sort(about.Subscriptions)
	about.Subscriptions = slices.Compact(about.Subscriptions)
	return about, nil
}
