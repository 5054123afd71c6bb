package danube

import (
	"fmt"
	"time"
)

const (
	// patience is how long a published message may be missing before that means anything. The broker's longest delay before it sends a
	// message again is 60 s by default, and a window full of messages that wait for it keeps new ones back.
	patience = 75 * time.Second
	// exhaustion is how long the blocked gauge has to stand: it also counts messages on their way to the dead-letter topic.
	exhaustion = 10 * time.Second
	// ackPatience is how long acknowledgements may hang on a connection that is dead before keepalive ends it, and a deadline more.
	ackPatience = 35 * time.Second
	// keyedMisses is more than the window that the broker has by default: on Key-Shared it may handle one message for each publish only, and what was
	// given back keeps its key until the window is full.
	keyedMisses = 30
	// deafness is the same for Subscribe, which may have met such a connection only after acknowledgements did.
	deafness = 45 * time.Second
)

// An observation is what a client knows of one partition of its subscription at one time. Zero times mean: not so.
type observation struct {
	now     time.Time
	kind    SubscriptionType
	all     bool  // every message of the partition has to come to this consumer
	paused  error // why, while it is
	refused error // for good

	opened     time.Time // when the stream was opened that is open now
	ended      time.Time // when the last one ended
	failure    error     // why none is open
	unanswered time.Time // since when Subscribe hangs although lookups are answered

	hanging  time.Time // since when acknowledgements hang
	inFlight bool      // something was delivered and is not confirmed
	busy     time.Time // when something came last or was in flight, or the stream was opened
	came     time.Time // when something came last, or the stream was opened
	healthy  time.Time // when a health check was answered OK last

	published time.Time // begin of the first confirmed publish of this client that has not come since
	missed    int       // at how many looks a newer one was found that has not come either
	deaf      time.Time // since when the publishes of this client hang

	gauge     GaugeReading
	exhausted time.Time // since when the blocked gauge is not 0 and nothing new comes
	grown     time.Time // when the lag gauge grew although nothing came
	acked     bool      // an acknowledgement was confirmed since the broker loaded the subscription, so the lag gauge means something
}

// A verdict is what an observation means.
type verdict struct {
	state       State
	cause, mend string
}

// What ends the ways of standing still, at which price.
const (
	mendPublish     = "publish any message on the topic; what was acknowledged meanwhile may come again"
	mendResubscribe = "remove the subscription by the admin API (Unsubscribe), after which it is made anew at the newest message: what is unread is " +
		"lost to it, and its failure policy has to be set again"
	mendNewName = "subscribe under another subscription name; this one goes on when the topic has grown beyond its old position"
	mendDelete  = "delete the topic (DeleteTopic), with all that is in it, or restart the broker"
	mendReader  = "have every consumer of the topic open and read its stream; if one died while publishers waited, only DeleteTopic or a " +
		"restart of the broker helps"
	mendGauges = "look at the broker's gauges of the subscription (lag, terminal_blocked), or give them to the consumer"
)

// diagnose says what o means. It decides only where nothing else explains what is seen.
func diagnose(o observation) verdict {
	switch {
	case o.refused != nil:
		return verdict{StateRefused, o.refused.Error(), "change what the error names, then start again"}
	case o.paused != nil:
		return verdict{StatePaused, o.paused.Error(), ""}
	case o.opened.IsZero():
		return diagnoseClosed(o)
	case o.lasts(o.hanging, ackPatience):
		return diagnoseHanging(o)
	case o.lasts(o.deaf, 2*sendTimeout) && o.busy.Before(o.deaf) && o.healthy.After(o.deaf):
		return verdict{StateStalled, fmt.Sprintf("publishes hang since %s and nothing comes: a consumer of the topic does not read its stream, "+
			"of this subscription or another", clock(o.deaf)), mendReader}
	}
	if v, found := diagnoseSilence(o); found {
		return v
	}
	return verdict{state: StateOpen}
}

// lasts tells whether what began at t has lasted for d.
func (o *observation) lasts(t time.Time, d time.Duration) bool {
	return !t.IsZero() && o.now.Sub(t) >= d
}

func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) }

// diagnoseClosed is for partitions without a stream.
func diagnoseClosed(o observation) verdict {
	why := ""
	if o.failure != nil {
		why = o.failure.Error()
	}
	switch {
	case o.lasts(o.unanswered, deafness) && o.lasts(o.deaf, 2*sendTimeout):
		return verdict{StateDeadlocked, fmt.Sprintf("Subscribe hangs since %s, publishes since %s: the broker hands a message over to a stream that is "+
			"gone, or to a consumer that does not read", clock(o.unanswered), clock(o.deaf)), mendDelete}
	case o.lasts(o.unanswered, deafness):
		return verdict{StateStalled, fmt.Sprintf("Subscribe hangs since %s: frozen, and then the next publish ends it, or deadlocked by a consumer "+
			"that does not read", clock(o.unanswered)), mendPublish}
	case o.kind == KeyShared && o.lasts(o.ended, evictedAfter):
		return verdict{StateEvicted, "the broker gives a Key-Shared consumer up that is away for 3 s, with what it had in flight: " + why,
			"none is needed: it comes back under another consumer name"}
	case o.ended.IsZero():
		return verdict{StateStarting, why, ""}
	}
	return verdict{StateLost, why, ""}
}

// diagnoseHanging is for acknowledgements that hang, which means that the queue of commands of this subscription is full, or that another
// subscription of the topic has the same trouble.
func diagnoseHanging(o observation) verdict {
	since := "acknowledgements hang since " + clock(o.hanging)
	switch {
	case !o.deaf.IsZero():
		return verdict{StateStalled, since + ", publishes since " + clock(o.deaf) + ": a consumer of the topic does not read its stream, of this " +
			"subscription or another", mendReader}
	case o.all && o.gauge.Sole:
		return verdict{StateFrozen, since + ": the newest message was settled before an older one, and the broker waits for the next", mendPublish}
	}
	return verdict{StateStalled, since + ": frozen, this subscription or another of the topic, until the next publish, or held up by a consumer that does " +
		"not read its stream", mendPublish}
}

// diagnoseSilence is for streams that are open and bring nothing. Nothing follows from silence alone.
func diagnoseSilence(o observation) (_ verdict, found bool) {
	if o.kind == KeyShared {
		return diagnoseKeyed(o)
	}
	quiet := o.now.Sub(o.busy)
	missing := o.all && !o.inFlight && (o.lasts(o.published, exhaustion) || o.lasts(o.grown, exhaustion))
	if o.lasts(o.exhausted, exhaustion) && o.lasts(o.came, exhaustion) {
		cause := fmt.Sprintf("%d messages were delivered too often and nothing new comes: the poison policy Block has stopped the subscription", o.gauge.Blocked)
		if missing {
			return verdict{StateBlocked, cause, mendResubscribe}, true
		}
		return verdict{StateStalled, cause + ", or their dead letters cannot be published", "see that the dead-letter topic can be published to; where " +
			"there is none: " + mendResubscribe}, true
	}
	if !missing || quiet < patience || !(o.lasts(o.published, patience) || o.lasts(o.grown, patience)) {
		return verdict{}, false
	}
	return diagnoseMissing(o), true
}

// diagnoseMissing is for published messages that do not come although nothing is in flight. A publish ends a freeze, so it is none.
func diagnoseMissing(o observation) verdict {
	last := o.published
	if last.IsZero() {
		last = o.grown
	}
	since := "what was published at " + clock(last) + " does not come"
	fresh := o.gauge.At.After(last.Add(time.Second)) // the gauges are written every 500 ms
	switch {
	case !fresh || !o.gauge.BlockedTold:
		return verdict{StateStalled, since + ": blocked by the poison policy, its reader dead since a restart of the broker, or behind its position " +
			"of before a restart", mendGauges + "; " + mendResubscribe}
	case o.gauge.Lag > 0:
		return verdict{StateDead, fmt.Sprintf("%s and %d messages are unread: the broker's reader of the subscription has ended", since, o.gauge.Lag), mendResubscribe}
	case o.acked:
		return verdict{StateBehind, since + ", and the broker counts nothing as unread: the topic has not grown yet beyond the position of before " +
			"the broker's restart", mendNewName}
	}
	return verdict{StateStalled, since + ": the reader dead since a restart of the broker, or behind its position of before the restart", mendNewName}
}

// diagnoseKeyed is for Key-Shared, whose last message may come only with the next one, and whose gauges do not tell of blocked ones.
func diagnoseKeyed(o observation) (_ verdict, found bool) {
	if !o.all || o.inFlight || o.missed < keyedMisses || !o.lasts(o.published, patience) || o.now.Sub(o.busy) < patience {
		return verdict{}, false
	}
	return verdict{StateStalled, "what was published at " + clock(o.published) + " does not come: this consumer was evicted while its stream looked open, " +
		"or messages of a lost stream wait for their ack timeout, or the reader is dead", "start the consumer under another name; " + mendResubscribe}, true
}
