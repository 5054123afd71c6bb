// Package danube is a client of the Danube message broker that heals from what the broker does.
//
// A [Client] makes producers and consumers. Both find their topic's broker by lookup, and after any failure that a retry can mend
// they look up again, register again and go on, for ever, with growing waits; only the caller's context ends that. What no retry
// mends comes back as an [Error] for which [IsPermanent] is true.
//
// Facts about the broker that shape the code stand beside it. Two matter to callers. A publish that failed may have been stored,
// so a resent message can be there twice: give messages an id of your own in their attributes. And a message is delivered again
// until its acknowledgement is confirmed.
//
// [Client.Schemas] is the schema registry. An [Admin] administrates topics and subscriptions by a port of its own, and [Gauges] reads what
// the broker tells Prometheus about them. These three make each call once and leave it to their callers whether to try again.
package danube
