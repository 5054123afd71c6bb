package danubetest_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// A sight is what can be seen of a broker.
type sight struct {
	Ended     map[int]string // calls since the last look
	Delivered map[string][]uint64
	Gone      map[int]bool // streams
	Active    []string
	Unacked   int
	Backlog   int
	Blocked   bool
	Lag       string // the gauges
	Terminal  string
	Stored    string // how many redeliveries the stored policy allows
}

// Gauges and stored policies change seldom and take long to look at.
const (
	most = false
	all  = true
)

// compare waits until nothing moves any more and gives up the worlds that look different.
func (s *imitation) compare(all bool) {
	s.t.Helper()
	synctest.Wait()
	got := s.look(all)
	found, others := make(map[string]*world), make(map[string]bool)
	for _, before := range s.worlds {
		after := before.settle()
		for _, w := range after {
			want := w.look(all)
			if !reflect.DeepEqual(want, got) {
				others[cmp.Diff(want, got)] = true
				continue
			}
			key := ""
			if len(s.worlds)+len(after) > 2 {
				key = w.key()
			}
			found[key] = w
		}
	}
	if len(found) == 0 {
		s.t.Fatalf("what the broker did (-want +got):\n%s\nafter:\n%s",
			strings.Join(slices.Sorted(maps.Keys(others)), "\nor\n"), strings.Join(s.trace[max(0, len(s.trace)-60):], "\n"))
	}
	s.worlds = s.worlds[:0]
	for _, key := range slices.Sorted(maps.Keys(found)) {
		s.worlds = append(s.worlds, found[key])
	}
	require.Less(s.t, len(s.worlds), 5000, "worlds")
}

func (s *imitation) look(all bool) sight {
	got := sight{Ended: make(map[int]string), Delivered: make(map[string][]uint64), Gone: make(map[int]bool)}
	for id, call := range s.pending {
		select {
		case got.Ended[id] = <-call.ended:
			call.cancel()
			delete(s.pending, id)
			if got.Ended[id] != ok {
				delete(s.streams, id)
			}
		default:
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.streams)) {
		stream := s.streams[id]
		for len(stream.in) > 0 {
			got.Delivered[stream.name] = append(got.Delivered[stream.name], <-stream.in)
		}
		select {
		case <-stream.ended:
			got.Gone[id] = true
		default:
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got.Delivered)) {
		s.seen = append(s.seen, got.Delivered[name]...)
	}
	stats, _ := s.broker.Subscription(orders, "s")
	got.Unacked, got.Backlog, got.Blocked, got.Active = stats.Unacked, stats.Backlog, stats.Blocked, stats.Connected
	if all {
		got.Lag, got.Terminal, got.Stored = s.gauge("lag_messages"), s.gauge("terminal_blocked"), s.storedMax()
	}
	return got
}

// look is what can be seen of a world, which forgets what was delivered.
func (w *world) look(all bool) sight {
	seen := sight{Ended: w.ended, Delivered: make(map[string][]uint64), Gone: maps.Clone(w.gone)}
	w.ended = make(map[int]string)
	if all {
		seen.Lag, seen.Terminal, seen.Stored = w.told()
	}
	s := w.sub
	if s == nil {
		return seen
	}
	for _, name := range s.names {
		client := s.clients[name]
		if len(client.delivered) > 0 {
			seen.Delivered[name] = client.delivered
		}
		client.delivered = nil
		if client.active() {
			seen.Active = append(seen.Active, name)
		}
	}
	seen.Unacked, seen.Backlog = len(s.inFlight), len(s.inFlight)+len(s.ring)
	seen.Blocked = s.policy.Poison == danubetest.Block && s.count("exhausted") > 0
	return seen
}

// told is what the gauges and the admin port tell. A living subscription without a stored policy has the broker's own.
func (w *world) told() (lag, terminal, stored string) {
	lag, terminal, stored = "none", "none", "none"
	if w.stored != nil {
		stored = fmt.Sprint(w.stored.MaxRedeliveries)
	} else if w.sub != nil {
		stored = fmt.Sprint(w.usual.MaxRedeliveries)
	}
	if w.sub != nil {
		lag = fmt.Sprint(w.sub.lag)
		if w.sub.ticked {
			terminal = fmt.Sprint(w.sub.blocked)
		}
	}
	return lag, terminal, stored
}
