package danube

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
)

// Names of calls in errors.
const (
	opLookup     = "lookup"
	opPartitions = "list partitions"
	opCreate     = "create producer"
	opSend       = "send"
	opSubscribe  = "subscribe"
	opReceive    = "receive"
	opAck        = "ack"
	opNack       = "nack"
	opHealth     = "health check"
)

// action is what the client does after a failed call.
type action int

const (
	tryAgain action = iota // same call, after a wait
	reattach               // lookup and register again, then the same call
	giveUp                 // no retry mends it
)

// An outcome is one way in which calls fail, and what the client makes of it.
type outcome struct {
	ops      []string // the calls that it is about; nil for all
	code     codes.Code
	texts    []string // the answer contains one of them; nil for any answer
	then     action
	patience int // with giveUp: further tries before that
	kind     error
	why      string // where it comes from and why it is treated so
	mend     string
}

// Groups of calls.
var (
	opsProduce = []string{opCreate}
	opsSend    = []string{opSend}
	opsSeat    = []string{opSubscribe}
	opsAck     = []string{opAck, opNack}
	opsSchema  = []string{
		opRegisterSchema, opGetSchema, opListVersions, opCheckSchema, opDeleteVersion, opSetMode, opListSubjects, opTopicSchema, opSetTopicSchema,
	}
	opsDefine = []string{opRegisterSchema, opCheckSchema}
	opsAdmin  = []string{
		opListNamespaces, opListTopics, opCreateNamespace, opDeleteNamespace, opPolicies, opListBrokers, opClusterStatus, opCreateTopic,
		opDeleteTopic, opDescribeTopic, opListSubs, opUnsubscribe, opGetPolicy, opSetPolicy, opGetWindow, opSetWindow,
	}
)

const (
	publishing      = "Unable to publish the message"
	metadataCreated = "topic metadata was created"
	// creationRace is how many tries a producer makes that finds a topic made and not yet there: by far enough for others to end theirs.
	creationRace = 2
	// namespaceBoot is how many tries are made while namespaces are missing, about 3 s in all: a broker makes its own ones at boot.
	namespaceBoot = 5
)

// outcomes are all that is known of failed calls, in order of precedence. Codes and texts are those of broker v0.15, which attaches
// no status details and uses some codes for several things, so the text decides; "grpc-go" marks what our own side of the wire says.
// What no line matches is tried again, because losing a message is worse than waiting.
var outcomes = slices.Concat(
	ofTransport, ofCredentials, ofTopics, ofPublishing, ofConsuming, ofSchemas, ofAdmin, remaining,
)

var ofTransport = []outcome{
	{code: codes.OutOfRange, texts: []string{"message length too large"}, then: giveUp, kind: ErrTooLarge,
		why: "the broker's transport takes requests of 4194304 bytes, whatever max_message_size says", mend: "keep payload, key and attributes below 3.9 MiB"},
	{code: codes.ResourceExhausted, texts: []string{"larger than max"}, then: giveUp, kind: ErrTooLarge,
		why: "grpc-go: an answer or request beyond the limits of this client, which are above all that the broker passes on"},
	{code: codes.Internal, texts: []string{"header list size"}, then: giveUp, kind: ErrToken,
		why: "grpc-go: the broker takes 16384 bytes of headers, and only a token can be that long", mend: "use a shorter token"},
	{code: codes.Canceled, texts: []string{"Timeout expired"}, then: tryAgain,
		why: "the caller's own deadline, when the broker notices it first"},
	{code: codes.Canceled, texts: []string{"connection is closing"}, then: giveUp, kind: ErrClosed,
		why: "grpc-go: the client was closed under the call", mend: errClosed.mend},
	{ops: opsSend, code: codes.Canceled, texts: []string{"RST_STREAM"}, then: giveUp, kind: ErrSchema,
		why:  "the handler panicked on this very message, as it does when it validates payloads of protobuf schemas; the connection lives on",
		mend: "switch payload validation off for this topic"},
	{code: codes.Unimplemented, texts: []string{"unknown service", "unknown method", "HTTP status"}, then: giveUp, kind: ErrNotBroker,
		why:  "grpc-go and tonic: the port belongs to something else, such as the admin API or a web server",
		mend: "name the right one of the broker's ports, by default 6650 for clients and 50051 for administrators"},
	{code: codes.Unavailable, texts: []string{"connection refused"}, then: reattach,
		why: "grpc-go: nothing listens there now, which a starting broker changes", mend: "start the broker, or correct host and port of its URL"},
	{code: codes.Unavailable, texts: []string{"no such host"}, then: reattach,
		why: "grpc-go: name servers forget and learn", mend: "correct the host in the broker's URL"},
}

var ofCredentials = []outcome{
	{code: codes.Unauthenticated, texts: []string{"credentials are missing"}, then: giveUp, kind: ErrToken,
		why: "the broker runs with auth.mode tls", mend: "give the client a token"},
	{code: codes.Unauthenticated, then: giveUp, kind: ErrToken,
		why: "expired by more than 60 s, signed with another secret, or without a claim; another token was tried already where there was one",
		mend: "give the client a token that has not expired, has the claims iss, exp, sub, principal_type and principal_name, " +
			"and is signed with this broker's secret"},
	{code: codes.FailedPrecondition, texts: []string{"JWT"}, then: giveUp, kind: ErrToken,
		why: "the broker demands tokens and was given no secret", mend: "set auth.jwt in the broker's configuration"},
	{code: codes.PermissionDenied, texts: []string{"no binding grants Consume on Cluster"}, then: giveUp, kind: ErrDenied,
		why:  "receive and ack are looked up on the cluster, although subscribe is on the topic",
		mend: "bind Consume on the cluster to this principal"},
	{code: codes.PermissionDenied, texts: []string{"no binding grants"}, then: giveUp, kind: ErrDenied,
		why:  "deny by default; a binding on a topic does not cover its partitions",
		mend: "bind the permission to this principal, for partitions on the namespace"},
}

var ofTopics = []outcome{
	{code: codes.InvalidArgument, texts: []string{"invalid format"}, then: giveUp, kind: ErrName,
		why: "names that CheckTopic lets pass never get this", mend: "write the topic as /namespace/topic"},
	{code: codes.Unavailable, texts: []string{"Unable to find the namespace"}, then: giveUp, patience: namespaceBoot, kind: ErrNoNamespace,
		why: "UNAVAILABLE makes official clients retry, but only somebody with the admin API mends it", mend: "create the namespace, or name another"},
	{code: codes.Unavailable, texts: []string{"redo the Lookup"}, then: reattach,
		why: "the topic is on another broker, or its metadata was just created and a broker is being chosen"},
	{code: codes.Unavailable, texts: []string{metadataCreated}, then: reattach,
		why: "a cluster loads new topics about 100 ms later"},
	{ops: []string{opLookup, opCreate, opSubscribe}, code: codes.NotFound, texts: []string{"Unable to find the topic", "Unable to find the requested topic"}, then: reattach, kind: ErrNoTopic,
		why:  "it may be made any moment; a lookup may have found it nevertheless, because names are compared by their beginning",
		mend: "start its producer, or create it; a broker with auto_create_topics off makes none by itself"},
	{ops: opsProduce, code: codes.AlreadyExists, texts: []string{"partitioned topics with this base name"}, then: giveUp, patience: creationRace, kind: ErrMismatch,
		why:  "the broker takes any topic whose name begins with this one for a partition of it",
		mend: "set the number of partitions that the topic has; if it has none, name it so that no other name begins with it"},
	{ops: opsProduce, code: codes.AlreadyExists, then: giveUp, patience: creationRace, kind: ErrMismatch,
		why: "plain here and partitioned there, or a lost race to create it, after which the next try finds it", mend: "set partitions to what the topic has"},
	{code: codes.FailedPrecondition, texts: []string{"does not match topic strategy"}, then: giveUp, kind: ErrMismatch,
		why: "the strategy is set when a topic is created", mend: "produce with the topic's own dispatch strategy, reliable or not"},
	{code: codes.FailedPrecondition, texts: []string{"cannot use"}, then: giveUp, kind: ErrMismatch,
		why: "the first producer that names a subject sets it for as long as the topic is loaded", mend: "name the topic's own schema subject, or none"},
	{code: codes.InvalidArgument, texts: []string{"Dispatch strategy is missing"}, then: giveUp, kind: ErrMismatch,
		why: "a number that is no dispatch strategy; this client sends none such"},
}

var ofPublishing = []outcome{
	{ops: opsProduce, code: codes.PermissionDenied, texts: []string{"Not able to create the Producer"}, then: reattach,
		why: "the topic is closing, or anything else that the broker does not tell"},
	{ops: opsProduce, code: codes.ResourceExhausted, then: tryAgain, kind: ErrLimit,
		why:  "max_producers_per_topic counts every name since the topic was loaded, gone ones too",
		mend: "use the same producer name after a restart, or raise the broker's max_producers_per_topic"},
	{ops: opsSend, code: codes.NotFound, texts: []string{"producer with id"}, then: reattach,
		why: "ids are void after a broker restart and a topic move"},
	{ops: opsSend, code: codes.InvalidArgument, texts: []string{"exceeds maximum"}, then: giveUp, kind: ErrTooLarge,
		why: "the payload is beyond the broker's max_message_size", mend: "raise the broker's max_message_size, or send less"},
	{ops: opsSend, code: codes.InvalidArgument, texts: []string{publishing}, then: giveUp, kind: ErrSchema,
		why: "where the real broker panics, a development broker says that it cannot validate the payload"},
	{ops: opsSend, code: codes.PermissionDenied, texts: []string{"draining", "is closed", "or closed", "not attached"}, then: reattach,
		why: "the topic is being moved, or its producer belongs to a topic that was"},
	{ops: opsSend, code: codes.PermissionDenied, texts: []string{"schema", "payload"}, then: giveUp, kind: ErrSchema,
		why:  "the topic's validation policy refuses this message; under warn too, if the schema id is unknown or the payload is validated",
		mend: "send what the topic's schema allows, with the schema's id"},
	{ops: opsSend, code: codes.PermissionDenied, texts: []string{"not found in registry"}, then: reattach,
		why: "the topic is gone from this broker"},
	{ops: opsSend, code: codes.PermissionDenied, texts: []string{publishing}, then: tryAgain,
		why: "an error of the broker's log or write buffer, under the same code"},
	{ops: opsSend, code: codes.ResourceExhausted, then: tryAgain, kind: ErrLimit,
		why: "the broker's budget of memory or disk is full of unread messages", mend: "let the subscriptions catch up, or give the broker more"},
}

var ofConsuming = []outcome{
	{ops: opsSeat, code: codes.PermissionDenied, texts: []string{"Exclusive"}, then: tryAgain, kind: ErrSeatTaken,
		why:  "the seat stays with a name, connected or not, until Unsubscribe, a topic move or a broker restart",
		mend: "use the consumer name that holds the seat, or free it with Unsubscribe, which gives up the position"},
	{ops: opsSeat, code: codes.PermissionDenied, then: giveUp, kind: ErrLimit,
		why:  "max_subscriptions_per_topic or the limit of consumers per subscription, in which those that are gone count",
		mend: "remove subscriptions that nobody uses, or raise the broker's limits"},
	{ops: opsSeat, code: codes.ResourceExhausted, then: tryAgain, kind: ErrLimit,
		why:  "max_consumers_per_topic, in which those that are gone count",
		mend: "use the same consumer name after a restart, or raise the broker's max_consumers_per_topic"},
	{ops: []string{opReceive}, code: codes.NotFound, then: reattach,
		why: "ids are void after a broker restart, a topic move and, on topics that are not reliable, a minute without a stream"},
	{ops: []string{opReceive}, code: codes.OK, then: reattach,
		why: "a clean end: another consumer of this name took over, or the topic was moved or deleted"},
	{ops: opsAck, code: codes.Internal, then: reattach,
		why: "topic or subscription are not on this broker"},
}

var ofSchemas = []outcome{
	{ops: opsProduce, code: codes.FailedPrecondition, texts: []string{"Ensure schema is registered", "not found in registry"}, then: giveUp, kind: ErrSchema,
		why: "the subject has no schema", mend: "register the schema first"},
	{ops: opsSchema, code: codes.NotFound, texts: []string{"not found on this broker"}, then: reattach,
		why: "settings of a topic are answered by the broker that has it loaded"},
	{ops: opsSchema, code: codes.NotFound, then: giveUp, kind: ErrNotFound,
		why: "no such subject, id or version", mend: "register the schema first"},
	{ops: []string{opRegisterSchema}, code: codes.Internal, texts: []string{"compatib"}, then: giveUp, kind: ErrIncompatible,
		why:  "compared with the latest version alone, under the subject's mode; every refusal of a definition is INTERNAL",
		mend: "send a definition that may follow the latest version, or change the subject's compatibility"},
	{ops: opsSchema, code: codes.Internal, texts: []string{"not found", "unable to find", "does not exist"}, then: giveUp, kind: ErrNotFound,
		why: "an unknown subject, where the call needs one"},
	{ops: opsDefine, code: codes.Internal, texts: []string{"invalid", "unknown", "parse"}, then: giveUp, kind: ErrBadSchema,
		why: "an unknown type, or a definition that is none of its type", mend: "send a definition that is valid for its type"},
}

var ofAdmin = []outcome{
	{ops: opsAdmin, code: codes.NotFound, texts: []string{"active consumer"}, then: tryAgain, kind: ErrActiveConsumers,
		why:  "a closed stream counts for about 0.5 s; the same text answers for topics on another broker",
		mend: "close the subscription's consumers, and ask the broker that holds the topic"},
	{ops: opsAdmin, code: codes.NotFound, texts: []string{"already exist"}, then: giveUp, kind: ErrExists,
		why: "almost every failure of these services is NOT_FOUND and the text tells which"},
	{ops: opsAdmin, code: codes.AlreadyExists, then: giveUp, kind: ErrExists,
		why: "as it should be answered, should it ever be"},
	{ops: opsAdmin, code: codes.NotFound, texts: []string{"not empty"}, then: giveUp, kind: ErrNotEmpty,
		why: "a namespace goes after its topics", mend: "delete its topics first"},
	{ops: opsAdmin, code: codes.NotFound, texts: []string{"invalid format"}, then: giveUp, kind: ErrName,
		why: "a name that no topic can have"},
	{ops: opsAdmin, code: codes.NotFound, then: giveUp, kind: ErrNotFound,
		why: "a topic, namespace or subscription that is not there, for once"},
	{ops: opsAdmin, code: codes.FailedPrecondition, texts: []string{"only be configured for reliable topics"}, then: giveUp, kind: ErrNotReliable,
		why: "failure policies are for reliable topics, and missing ones count as not reliable", mend: "create the topic as a reliable one first"},
	{ops: opsAdmin, code: codes.FailedPrecondition, then: giveUp,
		why: "UnloadTopic needs a second broker"},
}

// remaining are the meanings that codes have where the text says nothing more.
var remaining = []outcome{
	{code: codes.NotFound, then: reattach, why: "what is not there may have been on a broker that forgot"},
	{code: codes.Unavailable, then: reattach, why: "no connection, or a broker that is starting or stopping"},
	{code: codes.Internal, then: reattach, why: "the broker's metadata store failed, or its subscription ended"},
	{code: codes.PermissionDenied, then: giveUp, kind: ErrDenied, why: "a proxy or a broker that says no without the usual words"},
	{code: codes.InvalidArgument, then: giveUp, why: "the same request is as invalid the next time"},
	{code: codes.OutOfRange, then: giveUp, why: "the same request is out of range the next time"},
	{code: codes.FailedPrecondition, then: giveUp, why: "somebody has to change the topic or the broker first"},
	{code: codes.Unimplemented, then: giveUp, why: "this broker, in its mode, has no such call"},
}

// topicName is what a topic looks like inside an answer. Names are left out before texts are compared: a topic may be called closed-orders.
var topicName = regexp.MustCompile(`/[\pL\pN_-]+/[\pL\pN_-]+`)

// outcomeOf finds what a failed call means.
func outcomeOf(op string, code codes.Code, text string) outcome {
	text = strings.ToLower(topicName.ReplaceAllString(text, "/…"))
	for _, o := range outcomes {
		if o.code == code && (o.ops == nil || slices.Contains(o.ops, op)) && (o.texts == nil || containsAny(text, o.texts)) {
			return o
		}
	}
	return outcome{code: code, then: tryAgain}
}

// containsAny takes a text in lower case: the broker writes some words in both.
func containsAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, strings.ToLower(p)) })
}
