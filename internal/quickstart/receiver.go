package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A tally is what the receiver tells of what it got.
type tally struct {
	Deliveries int                   `json:"deliveries"`
	Distinct   int                   `json:"distinct"` // Idempotency-Keys
	Published  int                   `json:"published"`
	Files      map[string]*fileTally `json:"files"`
	FirstNS    int64                 `json:"first_ns"`
	LastNS     int64                 `json:"last_ns"`
	LiveP50    time.Duration         `json:"live_p50"`
	LiveP99    time.Duration         `json:"live_p99"`
}

// A fileTally is about the lines of one file, repeats removed by Idempotency-Key.
type fileTally struct {
	Lines      int    `json:"lines"`
	Doubled    int    `json:"doubled"`      // lines that came under a second key
	OutOfOrder int    `json:"out_of_order"` // lines that came after a later one
	Digest     string `json:"digest"`       // SHA-256 over the lines in the order they came

	last   int
	seen   map[int]bool
	digest hash.Hash
}

// A receiver is the HTTP endpoint that the sink posts to.
type receiver struct {
	mu    sync.Mutex
	tally tally
	keys  map[string]bool
	live  []time.Duration // from writing a line to its arrival
}

// receive serves the endpoint on addr until the process is ended.
func receive(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return (&http.Server{Handler: newReceiver().handler(), ReadHeaderTimeout: 5 * time.Second}).Serve(l)
}

func newReceiver() *receiver {
	return &receiver{tally: tally{Files: make(map[string]*fileTally)}, keys: make(map[string]bool)}
}

func (r *receiver) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events", r.event)
	mux.HandleFunc("GET /tally", r.report)
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprint(w, r.tally.Distinct)
	})
	return mux
}

func (r *receiver) event(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var l line
	if err == nil {
		err = json.Unmarshal(body, &l)
	}
	offset, offsetErr := strconv.Atoi(req.Header.Get("Danube-Offset"))
	key := req.Header.Get("Idempotency-Key")
	if err != nil || offsetErr != nil || key == "" {
		http.Error(w, fmt.Sprintf("a line, its offset and its key are needed: %v %v", err, offsetErr), http.StatusBadRequest)
		return
	}
	r.add(l, body, key, offset)
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) add(l line, body []byte, key string, offset int) {
	now := time.Now().UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.tally
	if t.Deliveries == 0 {
		t.FirstNS = now
	}
	t.Deliveries++
	t.LastNS = now
	t.Published = max(t.Published, offset+1)
	if r.keys[key] {
		return
	}
	r.keys[key] = true
	t.Distinct++
	if l.Written > t.FirstNS {
		r.live = append(r.live, time.Duration(now-l.Written))
	}
	f := t.Files[l.File]
	if f == nil {
		f = &fileTally{last: -1, seen: make(map[int]bool), digest: sha256.New()}
		t.Files[l.File] = f
	}
	f.add(l.Seq, body)
}

func (f *fileTally) add(seq int, body []byte) {
	if f.seen[seq] {
		f.Doubled++
	}
	f.seen[seq] = true
	f.Lines++
	if seq < f.last {
		f.OutOfOrder++
	}
	f.last = max(f.last, seq)
	f.digest.Write(append(bytes.TrimSuffix(body, []byte("\n")), '\n'))
}

func (r *receiver) report(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.tally.Files {
		f.Digest = hex.EncodeToString(f.digest.Sum(nil))
	}
	if len(r.live) > 0 {
		live := slices.Sorted(slices.Values(r.live))
		r.tally.LiveP50, r.tally.LiveP99 = live[len(live)/2], live[len(live)*99/100]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(r.tally) // a caller that is gone needs no answer
}
