package danube

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// lagGauge is head - 1 - contiguous acknowledged position, as of the dispatcher's last tick.
	lagGauge     = "danube_subscription_lag_messages"
	blockedGauge = "danube_subscription_terminal_blocked"
)

// maxMetricsBytes bounds what is read of an answer: about 300,000 series of usual length.
const maxMetricsBytes = 64 << 20

// maxGauge is the largest number that is taken for a count.
const maxGauge = 1 << 53

// errTooLong is an answer of more than maxMetricsBytes.
var errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxMetricsBytes>>20)

// Gauges reads what a broker tells Prometheus about its subscriptions. Each broker of a cluster tells about the topics that it has itself.
//
// What the numbers do not show, on the real broker v0.15:
//
//   - The lag is 0 until the first acknowledgement since the broker, the topic or the subscription was loaded, whatever is unread, and for
//     a subscription that was resumed below its old position after a restart.
//   - It counts what is in flight as well as what is unread.
//   - It is written every 500 ms. Above some 500 messages a second the broker may have dropped messages before the lag shows.
//   - It stands still while the subscription is frozen, and so looks like one that keeps pace.
//   - After messages were lost inside the broker it never comes down again: it grows with each publish, although all is acknowledged. Watch
//     how it moves rather than how high it is.
//   - Blocked is not told of Key-Shared subscriptions, and no other way of standing still shows in it.
//   - A subscription of a topic that is not reliable has neither.
type Gauges struct {
	url    string
	client *http.Client
}

// NewGauges makes a reader of the Prometheus endpoint at endpoint, such as http://localhost:9040; the path is /metrics if the URL has none.
// Client may be nil for http.DefaultClient; its Transport decides on TLS and credentials.
func NewGauges(endpoint string, client *http.Client) (*Gauges, error) {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, fmt.Errorf("metrics URL %q is not of the form http://host:port/metrics, for example http://localhost:9040/metrics", endpoint)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/metrics"
	}
	if client == nil {
		client = http.DefaultClient
	}
	return &Gauges{url: u.String(), client: client}, nil
}

// A Gauge is a number that the broker may or may not tell. One that is not told is not the same as one that is 0: the subscription may be
// on another broker, be gone, or be of a kind that has none.
type Gauge struct {
	Value int64 // 0 when not told
	Told  bool
}

// SubscriptionGauges are the numbers of a subscription, in one partition or in all of a topic together.
type SubscriptionGauges struct {
	Topic        string // without partition suffix
	Partition    int    // -1 for a plain topic, and for all partitions together
	Subscription string
	Lag          Gauge // messages in flight or unread; see [Gauges] for when it is wrong
	Blocked      Gauge // messages for which the poison policy has stopped the subscription
}

// A Reading is what the broker told at one time.
type Reading struct {
	At  time.Time // when the answer was there
	all []SubscriptionGauges
}

// Read asks once, within a few seconds. A failure says nothing about the subscriptions.
func (g *Gauges) Read(ctx context.Context) (*Reading, error) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := g.read(limited)
	if err != nil {
		return nil, fmt.Errorf("read gauges: %w", err)
	}
	return r, nil
}

func (g *Gauges) read(ctx context.Context) (*Reading, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s; is it the broker's Prometheus port?", g.url, resp.Status)
	}
	r, err := parseGauges(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.url, err)
	}
	return r, nil
}

func parseGauges(body io.Reader) (*Reading, error) {
	own, err := ownLines(body)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(own)
	if err != nil {
		return nil, err
	}
	samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, slices.Collect(maps.Values(families))...)
	if err != nil {
		return nil, err
	}
	return newReading(samples), nil
}

// ownLines picks the series that are asked for from all that a broker tells, which may be a hundred times as much.
func ownLines(body io.Reader) (io.Reader, error) {
	limited := &io.LimitedReader{R: body, N: maxMetricsBytes + 1}
	lines := bufio.NewScanner(limited)
	var own bytes.Buffer
	for lines.Scan() {
		line := lines.Bytes()
		name, _, _ := bytes.Cut(line, []byte("{"))
		if string(name) == lagGauge || string(name) == blockedGauge {
			own.Write(line)
			own.WriteByte('\n')
		}
	}
	if limited.N <= 0 {
		return nil, errTooLong
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return &own, nil
}

func newReading(samples model.Vector) *Reading {
	type key struct{ topic, subscription string }
	all := make(map[key]*SubscriptionGauges)
	for _, sample := range samples {
		k := key{string(sample.Metric["topic"]), string(sample.Metric["subscription"])}
		if k.topic == "" || !(sample.Value >= 0 && sample.Value <= maxGauge) { // nor when it is not a number
			continue
		}
		s := all[k]
		if s == nil {
			s = &SubscriptionGauges{Subscription: k.subscription}
			s.Topic, s.Partition = splitPartition(k.topic)
			all[k] = s
		}
		told := Gauge{Value: int64(sample.Value), Told: true}
		if sample.Metric[model.MetricNameLabel] == lagGauge {
			s.Lag = told
		} else {
			s.Blocked = told
		}
	}
	r := &Reading{At: time.Now()}
	for _, s := range all {
		r.all = append(r.all, *s)
	}
	slices.SortFunc(r.all, func(a, b SubscriptionGauges) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), strings.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Partition, b.Partition))
	})
	return r
}

// All lists what was told, by topic, subscription and partition.
func (r *Reading) All() []SubscriptionGauges { return slices.Clone(r.all) }

// Partitions lists what was told of one subscription of a topic, in order of the partitions; a plain topic has one entry. It is empty when
// nothing was told.
func (r *Reading) Partitions(topic, subscription string) []SubscriptionGauges {
	var list []SubscriptionGauges
	for _, s := range r.all {
		if s.Topic == topic && s.Subscription == subscription {
			list = append(list, s)
		}
	}
	return list
}

// Sum adds up what was told of the partitions of a topic; a number counts as told when it is of one of them at least. Partitions on other
// brokers are missing from it.
func (r *Reading) Sum(topic, subscription string) SubscriptionGauges {
	sum := SubscriptionGauges{Topic: topic, Partition: -1, Subscription: subscription}
	for _, s := range r.Partitions(topic, subscription) {
		sum.Lag.add(s.Lag)
		sum.Blocked.add(s.Blocked)
	}
	return sum
}

func (g *Gauge) add(other Gauge) {
	g.Value += other.Value
	g.Told = g.Told || other.Told
}
