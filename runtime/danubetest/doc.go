// Package danubetest is an in-process Danube broker. Tests start one with [Start]; the development broker of the command is the
// same type served on a fixed address.
//
// It speaks the wire protocol of the real broker and is safer than it by default: it keeps every unread message up to a memory
// budget and then refuses publishes instead of losing them, it handles acknowledgements at once and in any order, it frees the seat
// of an Exclusive consumer that left, and Failover fails over. It takes time only from package time and its connections only from
// the listeners that it is given, so that it runs inside testing/synctest on an in-memory listener.
//
// How it is built, for those who change it:
//
//   - one lock per topic guards the topic's log, its subscriptions and their dispatchers; nothing blocks while holding it
//   - a dispatcher decides which message goes to which consumer and when (dispatcher.go); reliable.go and besteffort.go hold the
//     rules of the two kinds of topics, pick.go those of the subscription types, keyshared.go those of routing keys
//   - under the traps of [Imitate] and [Trap] a reliable subscription has the real broker's dispatcher instead: model.go holds what it
//     knows and its events, model_dispatch.go how it hands messages over, model_keys.go what Key-Shared adds, model_seam.go the queue in
//     front of it, model_reader.go and model_resumed.go where its messages come from, lives.go what a restart leaves of a topic
//   - a messageLog keeps the messages of one topic (log.go); with a data directory on disk (disklog.go, datadir.go)
//   - a consumer has an outbox that its dispatcher fills and its receive stream empties (consumer.go)
//   - the schema registry keeps subjects and versions (schemas.go); which messages a topic takes because of them is in
//     topicschema.go, the rules of the types are in runtime/internal/schema
//   - with [Secure] a gate stands before every call (gate.go) and the HTTP port (web_gate.go); what calls need is a table (rights.go)
//   - lock order: Broker.mu, then topic.mu, then the leaves (registry, schemas, faults, connections), which call nothing
package danubetest
