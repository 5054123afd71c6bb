package main

import (
	"context"
	"fmt"
	"time"
)

// A Job is what one contestant does in its process.
type Job struct {
	Work       string // publish, consume, both or latency
	Contestant string // framer, grpc-go or client
	URL        string // of the broker, http://host:port
	Payload    int    // bytes
	InFlight   int    // publishes that overlap
	Window     int    // messages that the broker leaves unacknowledged
	Reliable   bool
	Seconds    float64 // how long publish and latency go on
	Count      int     // messages of consume and both
	Rate       int     // messages a second of latency
}

// An Outcome is what one process measured of itself, after a short warm-up.
type Outcome struct {
	Messages  int     `json:"messages"`
	Seconds   float64 `json:"seconds"`
	CPU       float64 `json:"cpu_us_per_message"` // of the contestant's process, user and system
	Allocs    float64 `json:"allocs_per_message"`
	PeakMiB   float64 `json:"peak_rss_mib"`
	P50       float64 `json:"p50_ms,omitempty"` // from handing a message over until it is received
	P99       float64 `json:"p99_ms,omitempty"`
	BrokerCPU float64 `json:"broker_cpu_us_per_message,omitempty"` // the whole life of the broker's process, start and filling included
}

// Throughput is in messages a second.
func (o *Outcome) Throughput() float64 { return float64(o.Messages) / o.Seconds }

// A Scenario is one kind of work with all its contestants. The first is the raw limit; "nothing" as its server is one that answers at once.
type Scenario struct {
	Name        string
	Job         Job
	Contestants []string
}

const (
	framerNothing = "framer, do-nothing server"
	framerBroker  = "framer"
	grpcGo        = "grpc-go"
	ourClient     = "client"
)

var scenarios = append(publishScenarios(), append(consumeScenarios(), latencyScenarios()...)...)

func publishScenarios() []Scenario {
	var all []Scenario
	for _, inFlight := range []int{1, 190} {
		for _, size := range []int{100, 1024, 16 << 10} {
			all = append(all, Scenario{
				Name:        fmt.Sprintf("publish/in-flight=%d/bytes=%d", inFlight, size),
				Job:         Job{Work: "publish", Payload: size, InFlight: inFlight, Window: 10, Reliable: true, Seconds: 2},
				Contestants: []string{framerBroker, framerNothing, grpcGo, ourClient},
			})
		}
	}
	return all
}

func consumeScenarios() []Scenario {
	var all []Scenario
	for _, of := range []struct{ window, count int }{{1, 20_000}, {10, 60_000}, {1000, 200_000}} {
		all = append(all, Scenario{
			Name:        fmt.Sprintf("consume/window=%d", of.window),
			Job:         Job{Work: "consume", Payload: 1024, Window: of.window, Reliable: true, Count: of.count},
			Contestants: []string{framerBroker, grpcGo, ourClient},
		})
	}
	return append(all, Scenario{
		Name:        "both/window=1000",
		Job:         Job{Work: "both", Payload: 1024, InFlight: 64, Window: 1000, Reliable: true, Count: 100_000},
		Contestants: []string{framerBroker, grpcGo, ourClient},
	})
}

func latencyScenarios() []Scenario {
	var all []Scenario
	for _, reliable := range []bool{false, true} {
		name := map[bool]string{false: "non-reliable", true: "reliable"}[reliable]
		all = append(all, Scenario{
			Name:        "latency/10000-a-second/" + name,
			Job:         Job{Work: "latency", Payload: 1024, InFlight: 16, Window: 1000, Reliable: reliable, Seconds: 4, Rate: 10_000},
			Contestants: []string{grpcGo, ourClient},
		})
	}
	return all
}

// measure lets the contestants take turns, so that a machine that changes its speed changes it for all.
func measure(ctx context.Context, s Scenario, rounds int, scale float64) (Result, error) {
	s.Job.Seconds *= scale
	s.Job.Count = int(float64(s.Job.Count) * scale)
	r := Result{Scenario: s.Name, Outcomes: make(map[string][]Outcome)}
	for range rounds {
		for _, c := range s.Contestants {
			o, err := contest(ctx, s.Job, c)
			if err != nil {
				return r, fmt.Errorf("%s: %w", c, err)
			}
			r.Outcomes[c] = append(r.Outcomes[c], o)
		}
	}
	r.Order = s.Contestants
	return r, nil
}

// contest runs one job beside a fresh server.
func contest(ctx context.Context, job Job, contestant string) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	server, name := "broker", contestant
	if contestant == framerNothing {
		server, name = "nothing", framerBroker
	}
	s, err := startServer(ctx, server, job)
	if err != nil {
		return Outcome{}, err
	}
	job.URL, job.Contestant = s.url, name
	if job.Work == "consume" {
		fill := job
		fill.Work, fill.Contestant = "fill", framerBroker
		if _, err := runJob(ctx, fill); err != nil {
			return Outcome{}, fmt.Errorf("fill the broker: %w", err)
		}
	}
	o, err := runJob(ctx, job)
	if err != nil {
		return Outcome{}, err
	}
	cpu, err := s.stop()
	o.BrokerCPU = cpu.Seconds() * 1e6 / float64(o.Messages)
	return o, err
}
