package main

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxNews bounds the messages that one error holds.
const maxNews = 5

// troubles keeps what is wrong now, for Ping, and what was not told yet, for Read. It may be used concurrently.
type troubles struct {
	patience time.Duration // how long a file may be missing while its writer rotates it

	mu     sync.Mutex
	severe []error
	since  map[string]time.Time // each present problem
	told   map[string]bool
	untold []error
}

func newTroubles(patience time.Duration) *troubles {
	return &troubles{patience: patience, told: make(map[string]bool)}
}

// set replaces the present problems. A new one becomes news, a missing file after the first scan only when it stays missing.
func (t *troubles) set(problems []problem, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.since == nil
	since, told := make(map[string]time.Time), make(map[string]bool)
	t.severe = nil
	for _, p := range problems {
		if p.severe {
			t.severe = append(t.severe, errors.New(p.text))
		}
		since[p.text] = now
		if earlier, ok := t.since[p.text]; ok {
			since[p.text] = earlier
		}
		told[p.text] = t.told[p.text]
		if !told[p.text] && (first || !p.waiting || now.Sub(since[p.text]) >= t.patience) {
			t.untold = append(t.untold, errors.New(p.text))
			told[p.text] = true
		}
	}
	t.since, t.told = since, told
}

// tell adds news that is no lasting problem.
func (t *troubles) tell(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.untold = append(t.untold, err)
}

// news returns what was not told yet; nil: nothing.
func (t *troubles) news() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := t.untold
	t.untold = nil
	if extra := len(news) - maxNews; extra > 0 {
		news = append(news[:maxNews:maxNews], fmt.Errorf("and %d more", extra))
	}
	return errors.Join(news...)
}

// now returns the present severe problems; nil: none.
func (t *troubles) now() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.severe...)
}
