package danube

import (
	"slices"
	"sync"
	"time"
)

// A GaugeView gives what the broker's metrics endpoint told last.
type GaugeView interface {
	// Gauges returns the latest reading, at once; topic has the partition suffix. The zero value means that nothing was told.
	Gauges(topic, subscription string) GaugeReading
}

// A GaugeReading is what the real broker tells of one subscription of one partition. It writes its gauges every 500 ms.
type GaugeReading struct {
	At          time.Time // when it was read; zero when there is none
	Lag         int64     // messages in flight and unread; 0 before the first acknowledgement; never comes down again after a loss
	Blocked     int64     // messages delivered too often
	BlockedTold bool      // Blocked is not told of Key-Shared subscriptions
	Sole        bool      // the topic has no other subscription
}

// A publishSight is what a lane knows of the health of its topic. It is guarded by the lane.
type publishSight struct {
	proven  time.Time // begin of the newest publish that was confirmed
	hanging time.Time // begin of the first publish that met its deadline with none confirmed since
}

// answered notes how a publish ended that began at begun.
func (p *publishSight) answered(begun time.Time, err error) {
	switch {
	case err == nil:
		if begun.After(p.proven) {
			p.proven = begun
		}
		p.hanging = time.Time{}
	case isTimeout(err) && p.hanging.IsZero():
		p.hanging = begun
	}
}

// publishers are the lanes of a client by topic with partition suffix: what they meet tells its consumers something about the topic. The zero
// value is ready for use.
type publishers struct {
	mu    sync.Mutex
	lanes map[string][]*lane
}

func (p *publishers) add(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes == nil {
		p.lanes = make(map[string][]*lane)
	}
	p.lanes[l.topic] = append(slices.Clone(p.lanes[l.topic]), l) // not changed once it can be seen
}

func (p *publishers) remove(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(p.lanes[l.topic]), func(other *lane) bool { return other == l })
	if p.lanes[l.topic] = left; len(left) == 0 {
		delete(p.lanes, l.topic)
	}
}

// sight sums up what is known of a topic: the newest proof and, while none gets through, the oldest hang.
func (p *publishers) sight(topic string) publishSight {
	p.mu.Lock()
	lanes := p.lanes[topic]
	p.mu.Unlock()
	var sum publishSight
	for _, l := range lanes {
		if !l.producer.settings.Reliable {
			continue // the broker drops such messages as it likes
		}
		l.mu.Lock()
		seen := l.sight
		l.mu.Unlock()
		if seen.proven.After(sum.proven) {
			sum.proven = seen.proven
		}
		if !seen.hanging.IsZero() && (sum.hanging.IsZero() || seen.hanging.Before(sum.hanging)) {
			sum.hanging = seen.hanging
		}
	}
	if sum.proven.After(sum.hanging) {
		sum.hanging = time.Time{} // one got through, so the others will
	}
	return sum
}
