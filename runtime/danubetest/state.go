package danubetest

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// brokerState is all that the status page shows beside messages. The names of its keys are those of the HTTP API.
type brokerState struct {
	Now     time.Time    `json:"now"`
	Started time.Time    `json:"started"`
	URL     string       `json:"url"`
	Admin   string       `json:"admin_url,omitempty"`
	Memory  memoryState  `json:"memory"`
	Clients int          `json:"connections"`
	Stopped bool         `json:"stopped"`
	Topics  []topicState `json:"topics"`
	Faults  []faultState `json:"faults"`
	Traps   []trapState  `json:"traps"` // those that are switched on, in the order of [Traps]
}

// memoryState is in bytes.
type memoryState struct {
	Used  int64 `json:"used"`
	Limit int64 `json:"limit"`
}

type topicState struct {
	Name          string              `json:"name"`
	Delivery      string              `json:"delivery"` // Reliable or NonReliable
	Published     uint64              `json:"published"`
	Kept          uint64              `json:"kept"` // messages that can still be read
	Producers     []string            `json:"producers"`
	Subscriptions []subscriptionState `json:"subscriptions"`
}

type subscriptionState struct {
	Name        string          `json:"name"`
	Type        string          `json:"type"`
	Backlog     int             `json:"backlog"` // messages not acknowledged, those never delivered included
	Unacked     int             `json:"unacked"`
	Window      int             `json:"window"`
	Delivered   uint64          `json:"delivered"`
	Redelivered uint64          `json:"redelivered"`
	Acked       uint64          `json:"acked"`
	Blocked     bool            `json:"blocked"`
	BlockedKeys []string        `json:"blocked_keys,omitempty"` // on Key-Shared, at most maxBlockedKeys
	Consumers   []consumerState `json:"consumers"`
}

type consumerState struct {
	Name      string `json:"name"`
	Connected bool   `json:"connected"` // from its Subscribe on
	Receiving bool   `json:"receiving"` // its stream is open
	Healthy   bool   `json:"healthy"`
	Address   string `json:"address,omitempty"` // where it connects from
}

// faultState is a fault and the request that ends it.
type faultState struct {
	Kind   string         `json:"kind"`
	Target string         `json:"target,omitempty"`
	Detail string         `json:"detail"`
	Left   int            `json:"left"` // -1 for no end
	End    string         `json:"end,omitempty"`
	Body   map[string]any `json:"end_body,omitempty"`
}

// trapState is a behaviour of the real broker that is switched on.
type trapState struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
}

// state looks at everything. Topics are locked one after the other.
func (b *Broker) state() brokerState {
	s := brokerState{
		Now:     time.Now().UTC(),
		Started: b.started.UTC(),
		URL:     b.URL(),
		Admin:   b.AdminURL(),
		Memory:  memoryState{Used: b.budget.used.Load(), Limit: b.budget.limit},
		Clients: len(b.conns.all()),
		Stopped: b.Stopped(),
		Topics:  []topicState{},
		Faults:  []faultState{},
		Traps:   b.settings.traps.state(),
	}
	for _, t := range b.allTopics() {
		s.Topics = append(s.Topics, t.state())
	}
	for _, f := range b.Faults() {
		s.Faults = append(s.Faults, stateOf(f))
	}
	return s
}

func (t *topic) state() topicState {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := topicState{
		Name:          t.name,
		Delivery:      t.delivery(),
		Published:     t.head,
		Kept:          t.head - min(t.log.first(), t.head),
		Producers:     append([]string{}, slices.Sorted(maps.Keys(t.producers))...),
		Subscriptions: []subscriptionState{},
	}
	for _, name := range slices.Sorted(maps.Keys(t.subs)) {
		s.Subscriptions = append(s.Subscriptions, t.subs[name].state())
	}
	return s
}

func (s *subscription) state() subscriptionState {
	st := subscriptionState{
		Name:        s.name,
		Type:        s.kind.String(),
		Backlog:     s.dispatcher.backlog(),
		Unacked:     s.dispatcher.unacked(),
		Window:      s.topic.window(s.name),
		Delivered:   s.delivered,
		Redelivered: s.redelivered,
		Acked:       s.acked,
		Blocked:     s.dispatcher.blocked(),
		Consumers:   []consumerState{},
	}
	if d, ok := s.dispatcher.(interface{ blockedKeys() []string }); ok && st.Blocked {
		st.BlockedKeys = d.blockedKeys()
	}
	for _, c := range s.consumers {
		st.Consumers = append(st.Consumers, c.state())
	}
	return st
}

func (c *consumer) state() consumerState {
	s := consumerState{Name: c.name, Connected: c.connected(), Receiving: c.stream != nil, Healthy: c.connected() && !c.unhealthy}
	at := c.conn
	if c.stream != nil {
		at = connOf(c.stream.ctx)
	}
	if at != nil {
		s.Address = at.Conn.RemoteAddr().String()
	}
	return s
}

// maxBlockedKeys bounds what is shown.
const maxBlockedKeys = 20

// blockedKeys names the keys behind the messages that the policy Block holds, nil where there are no keys.
func (r *reliable) blockedKeys() (keys []string) {
	for e := r.order.Front(); e != nil && r.keys != nil && len(keys) < maxBlockedKeys; e = e.Next() {
		if d := e.Value.(*delivery); d.state == stateExhausted {
			keys = append(keys, routingKey(d.msg))
		}
	}
	return keys
}

func (t traps) state() []trapState {
	on := []trapState{}
	for _, e := range allTraps {
		if t.has(e.bit) {
			on = append(on, trapState{Name: e.name, Summary: e.summary})
		}
	}
	return on
}

// stateOf adds to a fault how to end it.
func stateOf(f Fault) faultState {
	s := faultState{Kind: f.Kind, Target: f.Target, Detail: f.Detail, Left: f.Left}
	first, second, _ := strings.Cut(f.Target, " ")
	switch f.Kind {
	case "refuse", "delay":
		s.End, s.Body = f.Kind, map[string]any{"method": f.Target, "count": 0}
	case "cut-off":
		s.End, s.Body = "let-in", map[string]any{"client": f.Target}
	case "stop-after":
		s.End, s.Body = f.Kind, map[string]any{"count": 0}
	case "stop":
		s.End, s.Body = "restart", map[string]any{"keep": true}
	case "duplicate":
		s.End, s.Body = f.Kind, map[string]any{"topic": f.Target, "count": 0}
	case "lose-acks":
		s.End, s.Body = f.Kind, map[string]any{"topic": first, "subscription": second, "count": 0}
	}
	return s
}

// messageState is a message as the HTTP API shows it.
type messageState struct {
	Offset      uint64            `json:"offset"`
	PublishTime time.Time         `json:"publish_time"`
	Producer    string            `json:"producer"`
	Key         *string           `json:"key,omitempty"` // nil when there is none
	Attributes  map[string]string `json:"attributes,omitempty"`
	Size        int               `json:"size"` // bytes of the payload
	Payload     Preview           `json:"payload"`
}

// lastMessages gives up to n messages of a topic, newest first, with payloads up to about limit characters.
func (b *Broker) lastMessages(topic string, n, limit int) ([]messageState, error) {
	t := b.topic(topic)
	if t == nil {
		return nil, notThere("there is no topic %s", topic)
	}
	t.mu.Lock()
	var kept []stored
	for offset := t.head; offset > t.log.first() && len(kept) < n; offset-- {
		if m := t.log.read(offset - 1); m.msg != nil { // else the log has told
			kept = append(kept, m)
		}
	}
	t.mu.Unlock()
	messages := make([]messageState, len(kept))
	for i, s := range kept {
		messages[i] = messageState{
			Offset:      s.offset,
			PublishTime: time.UnixMilli(int64(s.msg.GetPublishTime())).UTC(),
			Producer:    s.msg.GetProducerName(),
			Key:         s.msg.RoutingKey,
			Attributes:  s.msg.GetAttributes(),
			Size:        len(s.msg.GetPayload()),
			Payload:     PreviewOf(s.msg.GetPayload(), limit),
		}
	}
	return messages, nil
}
