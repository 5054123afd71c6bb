package connect

import (
	"sync"
	"time"
)

// A rule says when messages that are not written yet are better acknowledged from the spool.
//
// The broker sends no more while its window of unacknowledged messages is full, and what waits there then is lost beyond 256. So a
// message may stay unacknowledged for as long as the target takes only while the broker is not waiting for it. That is certain while fewer
// messages are held than it has let us hold before and more keep coming. Otherwise all that is held is spooled:
//
//   - as many are held as ever before, so the window may be full, for half as long as the disk takes: a target that is as fast as the
//     disk needs no spool;
//   - nothing has come for quiet, so the window may have become smaller;
//   - one is held for patience, which keeps far from the broker's acknowledgement timeout.
type rule struct {
	poke func() // called when due may have become true

	mu       sync.Mutex
	disk     time.Duration // how long appending takes, lately
	most     int           // most messages held at once
	held     int
	fullFrom time.Time // since when no fewer than most are held; zero while fewer are
	lastCame time.Time
	timer    *time.Timer
	next     time.Time // when the timer fires; zero while it does not run
	stopped  bool
}

const (
	quiet    = 5 * time.Millisecond
	patience = time.Second
)

// arrived notes a message, and how many are held with it.
func (r *rule) arrived(held int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.lastCame = held, now
	if held < r.most {
		r.arm(now.Add(quiet))
		return
	}
	r.most = held
	if r.fullFrom.IsZero() {
		r.fullFrom = now
	}
	r.arm(r.fullFrom.Add(r.headStart()))
}

// released notes that fewer are held.
func (r *rule) released(held int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = held
	if held < r.most {
		r.fullFrom = time.Time{}
	}
}

// forget begins anew, since the broker may have another window.
func (r *rule) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = 0
}

// took notes how long it took to append what was held.
func (r *rule) took(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disk += (min(d, quiet) - r.disk) / 4
}

// headStart is what a message may wait for the target while the window may be full. The rule is locked.
func (r *rule) headStart() time.Duration { return r.disk / 2 }

// due tells whether what is held has to be spooled. Oldest is when the one held longest came.
func (r *rule) due(oldest, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == 0 {
		return false
	}
	return !r.fullFrom.IsZero() && now.Sub(r.fullFrom) >= r.headStart() || now.Sub(r.lastCame) >= quiet || now.Sub(oldest) >= patience
}

// arm sees to it that somebody looks at the given time or before. The rule is locked.
func (r *rule) arm(at time.Time) {
	if r.stopped || !r.next.IsZero() && !at.Before(r.next) {
		return
	}
	r.next = at
	wait := max(time.Until(at), 0)
	if r.timer == nil {
		r.timer = time.AfterFunc(wait, r.look)
		return
	}
	r.timer.Reset(wait)
}

// look wakes the one who spools, and looks again as long as something is held.
func (r *rule) look() {
	r.mu.Lock()
	r.next = time.Time{}
	held := r.held > 0
	if now := time.Now(); held {
		wait := quiet
		if !r.fullFrom.IsZero() && now.Sub(r.fullFrom) < quiet {
			wait = max(r.headStart(), quiet/50)
		}
		r.arm(now.Add(wait))
	}
	r.mu.Unlock()
	if held {
		r.poke()
	}
}

func (r *rule) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
