package danubetest

import (
	"math/rand/v2"
	"sync"
)

// dice is randomness that concurrent calls share. It is a leaf in the lock order.
type dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

// below is a number from 0 to n-1.
func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.IntN(n)
}

// oneIn is true once in n times on average.
func (d *dice) oneIn(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.IntN(n) == 0
}
