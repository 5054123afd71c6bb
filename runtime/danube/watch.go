package danube

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	pb "github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

const (
	// watchEvery is how often a consumer looks at itself when nothing happens.
	watchEvery = time.Second
	// askEvery paces the health checks of a partition that is silent or whose acknowledgements hang.
	askEvery = 30 * time.Second
	// askKeyedEvery is shorter on Key-Shared, where a lost stream has to be known before a dead connection is (see subscription.doubtful).
	askKeyedEvery = 10 * time.Second
)

// errDetached ends a stream that only the client believes in.
var errDetached = errors.New("the broker has lost this consumer's stream, which looks open here")

// A watcher observes one partition. Only the consumer's watching goroutine uses it, but for what is said otherwise.
type watcher struct {
	sub *subscription

	opened    time.Time // of the stream that the rest is about
	came      time.Time // the last message
	busy      time.Time // when something came last or was in flight
	published time.Time // see observation
	newest    time.Time // publish that was found missing
	missed    int
	lag       int64 // of the first reading since busy
	based     bool  // lag is set
	grown     time.Time
	exhausted time.Time
	asked     time.Time // when the last health check began
}

// poke has the consumer look at itself now. It never waits.
func (k *Consumer) poke() {
	select {
	case k.poked <- struct{}{}:
	default: // one token is enough
	}
}

// watch keeps the states up to date until ctx is done.
func (k *Consumer) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var watchers []*watcher
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.poked:
		}
		for _, s := range k.subscriptions()[len(watchers):] {
			watchers = append(watchers, &watcher{sub: s})
		}
		changed := false
		if len(watchers) == 0 {
			changed = k.assess(&k.standing, k.observe(nil), 0)
		}
		for _, w := range watchers {
			o := k.observe(w)
			life := w.observe(&o)
			changed = k.assess(&w.sub.standing, o, life) || changed
			w.ask(ctx, &o)
		}
		if changed {
			select {
			case k.changed <- struct{}{}:
			default: // the receiver has a token that it has not taken
			}
		}
	}
}

// observe begins an observation by what is known without a stream.
func (k *Consumer) observe(w *watcher) observation {
	o := observation{now: time.Now(), kind: k.settings.Type, paused: k.gate.reason(), failure: k.starting.get()}
	if w == nil {
		select {
		case <-k.failed:
			o.refused = k.err
		default:
		}
	}
	o.all = (o.kind == Exclusive || k.settings.Alone) && len(k.settings.KeyFilters) == 0
	return o
}

// assess takes over what o means and logs it.
func (k *Consumer) assess(s *standing, o observation, life int) bool {
	v := diagnose(o)
	before, changed := s.set(v, life, o.now)
	if before == v.state {
		return changed
	}
	now := s.get()
	log := k.client.log.With(zap.String("topic", nameOf(now.Topic, now.Partition)), zap.String("subscription", k.settings.Subscription))
	switch {
	case v.state.Stands():
		log.Error("subscription stands still", zap.Stringer("state", v.state), zap.String("cause", v.cause), zap.String("mend", v.mend))
	case before.Stands():
		log.Info("subscription goes on", zap.Stringer("was", before), zap.Stringer("state", v.state))
	}
	return changed
}

// observe adds what is known of the partition to o. It returns the life of the broker that this is about.
func (w *watcher) observe(o *observation) (life int) {
	s := w.sub
	o.failure = s.health.get()
	if IsPermanent(o.failure) {
		o.refused = o.failure
	}
	s.mu.Lock()
	o.opened, o.ended, o.unanswered, o.healthy = s.opened, s.ended, s.unanswered, s.healthy
	s.mu.Unlock()
	came, life := s.acker.observe(o)
	w.follow(o, came)
	seen := s.consumer.client.publishers.sight(s.topic)
	o.deaf = seen.hanging
	if o.opened.IsZero() {
		return life
	}
	if seen.proven.After(later(o.opened, came)) {
		if w.published.IsZero() {
			w.published = seen.proven
		}
		if seen.proven.After(w.newest) {
			w.newest = seen.proven
			w.missed++
		}
	}
	w.gauge(o, came)
	o.came = later(o.opened, came)
	o.busy, o.published, o.missed, o.grown, o.exhausted = w.busy, w.published, w.missed, w.grown, w.exhausted
	return life
}

// follow forgets what was missed when something comes, or another stream is there.
func (w *watcher) follow(o *observation, came time.Time) {
	if o.opened != w.opened || came != w.came {
		*w = watcher{sub: w.sub, opened: o.opened, came: came, busy: later(o.opened, came), asked: w.asked}
	}
	if o.inFlight {
		w.busy, w.based, w.grown = o.now, false, time.Time{}
	}
}

// gauge follows the gauges, if there are any.
func (w *watcher) gauge(o *observation, came time.Time) {
	view := w.sub.consumer.settings.Gauges
	if view == nil {
		return
	}
	o.gauge = view.Gauges(w.sub.topic, w.sub.consumer.settings.Subscription)
	if o.gauge.At.Before(later(o.opened, came).Add(watchEvery)) {
		return // it may tell of what has come since
	}
	switch {
	case o.gauge.Blocked == 0:
		w.exhausted = time.Time{}
	case w.exhausted.IsZero():
		w.exhausted = o.gauge.At
	}
	if o.gauge.At.Before(w.busy.Add(watchEvery)) {
		return
	}
	switch {
	case !w.based:
		w.lag, w.based = o.gauge.Lag, true
	case o.gauge.Lag > w.lag && w.grown.IsZero():
		w.grown = o.gauge.At
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// observe adds what the acker knows to o. It returns when a message came last, and the life of the broker.
func (a *acker) observe(o *observation) (came time.Time, life int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o.inFlight = len(a.entries) > 0 || a.overflow
	o.acked = a.proven
	if a.hanging > 0 && a.pending > 0 {
		o.hanging = a.hangingSince
	}
	return a.lastDelivery, a.life
}

// ask has the broker asked whether it sees the stream, if there is reason to, and opens it again if it does not. Reopening loses nothing
// then: the broker serves nobody.
func (w *watcher) ask(ctx context.Context, o *observation) {
	pause := askEvery
	if o.kind == KeyShared {
		pause = askKeyedEvery
	}
	if o.opened.IsZero() || o.paused != nil || o.now.Sub(later(w.asked, o.opened)) < pause {
		return
	}
	if silent := o.now.Sub(o.came) >= pause; !silent && o.hanging.IsZero() {
		return
	}
	w.asked = o.now
	s, opened := w.sub, o.opened // w is the watching goroutine's alone
	s.consumer.wg.Go(func() { s.askHealth(ctx, opened) })
}

// askHealth asks about the stream that was opened at the given time.
func (s *subscription) askHealth(ctx context.Context, opened time.Time) {
	s.mu.Lock()
	r, id, same := s.route, s.lastID, s.opened == opened
	s.mu.Unlock()
	if !same {
		return
	}
	ctx, cancel := context.WithTimeout(r.context(ctx), callTimeout)
	defer cancel()
	resp, err := pb.NewHealthCheckClient(r.conn).HealthCheck(ctx, &pb.HealthCheckRequest{Client: pb.HealthCheckRequest_Consumer, Id: id})
	if err != nil {
		return // nothing is known then; a broken connection ends the stream by itself
	}
	s.mu.Lock()
	if same = s.opened == opened; same && resp.GetStatus() == pb.HealthCheckResponse_OK {
		s.healthy = time.Now()
	}
	s.mu.Unlock()
	if same && resp.GetStatus() == pb.HealthCheckResponse_CLOSE {
		s.end(errDetached)
	}
}
