package danubetest

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// gauges are what the real broker tells Prometheus about a subscription.
type gauges struct {
	lag      int
	blocked  int
	terminal bool // blocked is told at all
}

// gauges tells them as they are.
func (r *reliable) gauges() gauges {
	return gauges{lag: r.backlog(), blocked: r.exhausted, terminal: true}
}

// gauges tells what the last tick wrote under the trap gauges: nothing as long as nothing was acknowledged, and nothing new while
// the dispatcher waits. A subscription that has lost messages never catches up.
func (m *imitator) gauges() gauges {
	if m.rules.has(trapGauges) {
		return m.written
	}
	return gauges{lag: m.backlog(), blocked: m.spent, terminal: true}
}

// writeGauges is part of a tick.
func (m *imitator) writeGauges() {
	m.written = gauges{blocked: m.spent, terminal: m.keyed == nil}
	if at, known := m.cursor.at(); known && m.sub.topic.head > at+1 {
		m.written.lag = int(m.sub.topic.head - 1 - at)
	}
}

// serveMetrics answers with the gauges of all reliable subscriptions in the text format of Prometheus.
func (b *Broker) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	out := bufio.NewWriter(w)
	var lag, blocked []string
	for _, t := range b.allTopics() {
		t.mu.Lock()
		for _, name := range slices.Sorted(maps.Keys(t.subs)) {
			d, ok := t.subs[name].dispatcher.(interface{ gauges() gauges })
			if !ok {
				continue
			}
			labels := fmt.Sprintf("{topic=%s,subscription=%s}", label(t.name), label(name))
			g := d.gauges()
			lag = append(lag, fmt.Sprintf("danube_subscription_lag_messages%s %d\n", labels, g.lag))
			if g.terminal {
				blocked = append(blocked, fmt.Sprintf("danube_subscription_terminal_blocked%s %d\n", labels, g.blocked))
			}
		}
		t.mu.Unlock()
	}
	// A client that has gone away is the only reason for which these writes fail.
	_, _ = out.WriteString("# HELP danube_subscription_lag_messages Messages that the subscription has not acknowledged.\n" +
		"# TYPE danube_subscription_lag_messages gauge\n" + strings.Join(lag, "") +
		"# HELP danube_subscription_terminal_blocked Messages for which the poison policy Block has stopped the subscription.\n" +
		"# TYPE danube_subscription_terminal_blocked gauge\n" + strings.Join(blocked, ""))
	_ = out.Flush()
}

// label quotes a value of a label.
func label(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}
