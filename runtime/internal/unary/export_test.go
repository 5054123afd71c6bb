package unary

// UseUpStreams makes the current connection have one stream number left. The pool has one connection.
func (p *Pool) UseUpStreams() {
	l := p.links[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.nextID = maxStreamID
}

// Blocks counts the header blocks that the current connection remembers. The pool has one connection.
func (p *Pool) Blocks() int {
	l := p.links[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.current.headers.blocks)
}

// Abandon does what Invoke does when its context ends.
func Abandon(c *Call, why error) { c.link.abandon(c, why) }
