package danube

import (
	"errors"
	"time"
)

// A resent is what an acker knows of the repeats at the beginning of a stream.
//
// The real broker keeps up to four messages in a consumer's queue while its stream is closed. A new stream gets these first and then all
// that is unacknowledged, by offset and with second copies of them. So new messages come before older ones that the client never saw,
// and copies of messages that are acknowledged meanwhile.
type resent struct {
	settle *time.Timer         // runs from the first message of the stream on
	over   bool                // the repeats are through
	last   time.Time           // when the last one came
	done   map[uint64]finished // confirmed since the stream was opened, or the one before if its repeats never got through
	await  place               // the message that has to come before those above it; none once it came
	early  bool                // something was passed over because of await
}

// A finished message is acknowledged and confirmed, and another copy of it may be on its way.
type finished struct {
	identity
	again bool // it came again on this stream, and that was confirmed
}

// A place is an offset or none, which is the zero value.
type place struct {
	offset uint64
	known  bool
}

func (p place) is(offset uint64) bool { return p.known && p.offset == offset }

// stop ends the account at the end of a stream.
func (r *resent) stop() {
	if r.settle != nil {
		r.settle.Stop()
		r.settle = nil
	}
	r.over, r.await, r.early = false, place{}, false
	for offset, f := range r.done {
		f.again = false
		r.done[offset] = f
	}
}

// confirmed notes an acknowledged message, again if that was a copy.
func (r *resent) confirmed(id identity, again bool) {
	if r.over {
		return
	}
	if r.done == nil {
		r.done = make(map[uint64]finished)
	}
	r.done[id.offset] = finished{identity: id, again: again}
}

// lacks tells whether a finished message below offset may yet come again: the broker may have missed that it is acknowledged.
func (r *resent) lacks(offset uint64) bool {
	for below, f := range r.done {
		if below < offset && !f.again {
			return true
		}
	}
	return false
}

// settleLater sees to it that the repeats of the stream are taken as through when no more come. The acker is locked.
func (a *acker) settleLater() {
	r := &a.resent
	if r.settle != nil || r.over {
		return
	}
	session := a.session
	r.settle = time.AfterFunc(resendTime, func() {
		a.mu.Lock()
		defer a.release()
		switch quiet := time.Since(r.last); {
		case a.session != session:
		case quiet < resendTime:
			r.settle.Reset(resendTime - quiet)
		default:
			a.settled()
		}
	})
}

// quietTime is how long a stream has to be quiet before it is closed for want of room. The real broker handles nothing while it hands
// messages over, and a stream that ends meanwhile leaves commands in its queue; once that is full the subscription is stuck for good.
const quietTime = 200 * time.Millisecond

// askAgain ends the stream, so that what was dropped for want of room comes again, as soon as nothing is on its way in either direction.
func (a *acker) askAgain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	quiet := time.Since(a.lastDelivery)
	switch {
	case !a.overflow || a.pending > 0 || a.asking != nil:
	case quiet < quietTime:
		a.asking = time.AfterFunc(quietTime-quiet, func() {
			a.mu.Lock()
			a.asking = nil
			a.release()
		})
	default:
		a.kick(errAgain)
	}
}

var errAgain = errors.New("messages that were passed over are asked for again")

// settled gives up entries of earlier sessions that the present one has not repeated: the broker has counted them as acknowledged, though
// its answer was lost. What was passed over and did not come again is asked for: what it had to wait for is not there.
func (a *acker) settled() {
	r := &a.resent
	r.over, r.done = true, nil
	for _, e := range a.entries {
		if e.session != a.session {
			a.drop(e)
		}
	}
	a.stale = 0
	a.schedule(a.top)
	a.gaps = r.await.known && r.early
	if a.gaps {
		a.missed = place{}
		a.kick(errAgain)
	}
	r.await = place{}
}

// ackAgain acknowledges another copy of what is acknowledged and confirmed, since the broker may have missed that while it waited to send
// the copy.
func (a *acker) ackAgain(id identity) bool {
	if before, ok := a.resent.done[id.offset]; !ok || before.identity != id {
		return false
	}
	a.resent.last = a.lastDelivery
	a.repeated++
	e := &entry{acker: a, id: id, session: a.session, acked: true, again: true}
	a.entries[id.offset] = e
	if id.offset == a.highest {
		a.top = e
	}
	a.schedule(e)
	return true
}

// awaited is the message that a new stream of the same life has to bring before those above it: the broker delivers by offset.
func (a *acker) awaited() place {
	switch {
	case !a.ordered:
		return place{}
	case a.missed.known:
		return a.missed
	default:
		return place{offset: a.highest + 1, known: a.seen && !a.gaps}
	}
}

// tooEarly tells whether a message is passed over because another has to come first; it will come again, after that.
func (a *acker) tooEarly(offset uint64) bool {
	r := &a.resent
	if !r.await.known || offset < r.await.offset {
		return false
	}
	if r.await.is(offset) {
		r.await = place{}
		return false
	}
	r.early, r.last = true, a.lastDelivery
	return true
}
