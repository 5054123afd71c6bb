package danube

import (
	"context"
	"sync"
)

// A gate lets sessions begin while it is open and ends those under way when it closes. The zero value is open.
type gate struct {
	mu      sync.Mutex
	why     error         // set while closed
	opening chan struct{} // closed by open; set while the gate is closed
	closing map[int]context.CancelCauseFunc
	nextID  int
}

// close shuts the gate; a second close changes only the reason.
func (g *gate) close(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why == nil {
		g.opening = make(chan struct{})
	}
	g.why = why
	for _, cancel := range g.closing {
		cancel(why)
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why != nil {
		g.why = nil
		close(g.opening)
	}
}

// reason is why the gate is closed, nil while it is open.
func (g *gate) reason() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

// wait returns nil once the gate is open, or ctx's error.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		closed, opening := g.why != nil, g.opening
		g.mu.Unlock()
		if !closed {
			return ctx.Err()
		}
		select {
		case <-opening:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// onClose has cancel called when the gate closes, at once if it is closed; the returned func takes that back.
func (g *gate) onClose(cancel context.CancelCauseFunc) func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why != nil {
		cancel(g.why)
	}
	if g.closing == nil {
		g.closing = make(map[int]context.CancelCauseFunc)
	}
	id := g.nextID
	g.nextID++
	g.closing[id] = cancel
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.closing, id)
	}
}
