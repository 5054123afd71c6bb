package danube_test

import (
	"fmt"
	"strconv"
	"strings"
)

// An order checks that first copies come in the order in which they were sent.
type order struct {
	world *world
	where string
	keys  bool // only keys are in order
	seen  map[string]bool
	last  map[string]int // by what is in order
}

func (w *world) order(where string) *order {
	return &order{world: w, where: where, seen: make(map[string]bool), last: make(map[string]int)}
}

// next takes one message of a topic.
func (o *order) next(text, at string) {
	if o.seen[text] {
		return
	}
	o.seen[text] = true
	sender, rest, _ := strings.Cut(text, "|")
	key, digits, _ := strings.Cut(rest, "|")
	n, err := strconv.Atoi(digits)
	if err != nil {
		o.world.fail("%s: %q is not a text of a test", o.where, text)
		return
	}
	var groups []string
	if key != "" {
		groups = append(groups, key)
	}
	if !o.keys && o.world.oneByOne(sender) {
		groups = append(groups, sender+" on "+at)
	}
	for _, g := range groups {
		if last, ok := o.last[g]; ok && n < last {
			o.world.fail("%s: %s comes after number %d of %s", o.where, text, last, g)
		}
		o.last[g] = n
	}
}

// repeats tells whether an offset of a session came before.
func (o *order) repeats(session string, offset uint64) bool {
	key := fmt.Sprint(session, " offset ", offset)
	if o.seen[key] {
		return true
	}
	o.seen[key] = true
	return false
}

// oneByOne tells whether the producer of a sender has one message in flight, so that partitions keep the order of sending.
func (p *program) oneByOne(sender string) bool {
	name, _, _ := strings.Cut(sender, ".")
	for _, plan := range p.plans {
		if plan.settings.Name == name {
			return plan.settings.InFlight == 1
		}
	}
	return false
}
