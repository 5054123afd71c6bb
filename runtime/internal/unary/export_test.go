package unary

// UseUpStreams makes the current connection have one stream number left. The pool has one connection.
func (p *Pool) UseUpStreams() {
	l := p.links[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.nextID = maxStreamID
}
