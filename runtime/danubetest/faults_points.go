package danubetest

// LoseAcks makes the next n acknowledgements of a subscription be answered with OK and forgotten, so that these messages come again.
// It replaces what is left of an earlier call; n = 0 ends it, [Always] has no end. It reports whether there is such a subscription.
func (b *Broker) LoseAcks(topic, sub string, n int) (found bool) {
	b.with(topic, sub, func(s *subscription) {
		found = true
		s.lostAcks = n
	})
	return found
}

// losesAck says whether the acknowledgement at hand is to be forgotten, and counts it.
func (s *subscription) losesAck() bool {
	if s.lostAcks > 0 {
		s.lostAcks--
		return true
	}
	return s.lostAcks == Always
}

// StopAfter makes the broker stop as a killed process does, right after the n-th publish from now on was stored: its answer does not
// leave, no later publish is stored, every connection is closed, and new ones are closed at once. [Broker.Restart] makes it serve
// again. It replaces an earlier call; n = 0 takes it back. With an n from a seeded source a test hits the same place each time.
func (b *Broker) StopAfter(n int) {
	f := &b.faults
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop = int64(max(n, 0))
	f.count()
}

// Stopped says whether the point of [Broker.StopAfter] was reached and no [Broker.Restart] came since.
func (b *Broker) Stopped() bool { return b.faults.halted.Load() }

// halt does what StopAfter promises.
func (b *Broker) halt() {
	b.log.Info("stopped by a test")
	b.conns.closeAll()
	b.changed()
}

// admit counts a publish that is about to be stored and says whether the broker has to stop after it. It is an error when the broker
// has stopped.
func (f *faults) admit() (last bool, err error) {
	if f.active.Load() == 0 && !f.halted.Load() {
		return false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.halted.Load() {
		return false, errStopped
	}
	if f.stop == 0 {
		return false, nil
	}
	f.stop--
	f.count()
	if f.stop > 0 {
		return false, nil
	}
	f.halted.Store(true)
	return true, nil
}
