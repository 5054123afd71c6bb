package connect

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

const (
	// saveEvery is how often what the target has taken is made durable while nobody waits for it. After a crash at most so much is
	// written again.
	saveEvery = 100 * time.Millisecond
	// spoolRetry is the pause before a spool that took nothing is tried again.
	spoolRetry = time.Second
)

// run spools, feeds the lanes from the spool by push, and saves how far they are, until ctx is done or the spool cannot go on.
func (c *custody) run(ctx context.Context, push func(*message)) error {
	if c.spool == nil {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.spoolUntil(ctx) })
	group.Go(func() error { return c.feedUntil(ctx, push) })
	group.Go(func() error { return c.saveUntil(ctx) })
	err := group.Wait()
	c.rule.stop()
	return err
}

// spoolUntil passes to the spool what the broker waits for, whenever that is due. A spool that is full, or whose disk is, is waited for. It
// gives up on one that failed otherwise: what could not be synced may be on the disk all the same, and were it written by the target now and
// acknowledged, the next start would find it and write it again after newer messages.
func (c *custody) spoolUntil(ctx context.Context) error {
	var batch []*message
	for {
		select {
		case <-c.spoolNow:
		case <-ctx.Done():
			return nil
		}
		for batch = c.collect(batch); len(batch) > 0; batch = c.collect(batch) {
			err := c.pass(batch)
			c.note(err)
			if errors.Is(err, spool.ErrFull) && c.stopWhenFull {
				return Fatal(fmt.Errorf("%w; raise spool.max_bytes, or set spool.when_full to pause", err))
			}
			if err != nil && !errors.Is(err, spool.ErrFull) && !errors.Is(err, syscall.ENOSPC) {
				return fmt.Errorf("%w; only a new start knows what is on the disk", err)
			}
			if err != nil && c.awaitRoom(ctx) != nil {
				return nil
			}
		}
		if c.unacknowledged() == 0 {
			c.note(nil) // what waited for room was written meanwhile
		}
	}
}

// awaitRoom waits until the spool may take more.
func (c *custody) awaitRoom(ctx context.Context) error {
	timer := time.NewTimer(spoolRetry)
	defer timer.Stop()
	select {
	case <-c.saved:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// collect takes all that is kept by the broker alone, in order of arrival, if it is time for that. Batch is reused.
func (c *custody) collect(batch []*message) []*message {
	clear(batch)
	batch = batch[:0]
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.held.head
	if first == nil || !c.always && c.unread == 0 && !c.rule.due(first.taken, time.Now()) {
		return batch
	}
	for m := first; m != nil; m = m.next {
		if m.keeper == keptByBroker {
			if m.settled {
				c.waiting--
			}
			m.keeper = changing
			batch = append(batch, m)
		}
	}
	c.changing += len(batch)
	c.clean = c.clean && len(batch) == 0
	return batch
}

// pass appends batch to the spool and acknowledges it once that is safe. What could not be appended is the broker's as before.
func (c *custody) pass(batch []*message) error {
	var err error
	n, start := 0, time.Now()
	for _, m := range batch {
		if m.seq, _, err = c.spool.Append(&m.Message); err != nil {
			break
		}
		n++
	}
	if n > 0 {
		if syncErr := c.spool.Sync(); syncErr != nil {
			n, err = 0, errors.Join(err, syncErr)
		}
	}
	c.rule.took(time.Since(start))
	c.passed(batch, n)
	for _, m := range batch[:n] {
		c.broker.Ack(m.Delivery)
	}
	return err
}

// passed notes that the first n of batch are the spool's and the others the broker's.
func (c *custody) passed(batch []*message, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changing -= len(batch)
	for _, m := range batch[n:] {
		m.keeper = keptByBroker
		if m.settled {
			c.waiting++
		}
	}
	for _, m := range batch[:n] {
		m.keeper = keptBySpool
		c.release(m)
		c.end = max(c.end, m.seq+1)
		switch {
		case m.settled:
			c.done(m)
		case !m.fed:
			c.unread--
			if !m.known && c.unfed == none {
				c.unfed = m.seq
			}
		}
	}
	if c.waiting > 0 {
		c.saveNow.give()
	}
	if c.behind {
		c.feedNow.give()
	}
}

// note keeps why the spool takes nothing.
func (c *custody) note(err error) {
	c.mu.Lock()
	before := c.err
	c.err = err
	c.mu.Unlock()
	switch {
	case err != nil && before == nil:
		c.log.Error("the spool takes no more; messages wait at the broker, which drops those beyond its window and 256 more", zap.Error(err))
	case err == nil && before != nil:
		c.log.Info("the spool takes messages again")
	}
}

// feedUntil gives the lanes what only the spool has, in order, as far as there is room.
func (c *custody) feedUntil(ctx context.Context, push func(*message)) error {
	for {
		seq, ok := c.nextUnfed()
		if !ok {
			select {
			case <-c.feedNow:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if err := c.feed(seq, push); err != nil {
			return err
		}
	}
}

// feed gives the lanes what lies in the spool from seq on, until there is no more or no room.
func (c *custody) feed(seq uint64, push func(*message)) (err error) {
	r := c.spool.Reader(seq)
	defer func() { err = errors.Join(err, r.Close()) }()
	for ok := true; ok; seq, ok = c.nextUnfed() {
		stored, _, err := r.Next()
		if err != nil {
			return fmt.Errorf("read the spool: %w", err)
		}
		push(c.fromSpool(seq, stored))
	}
	return nil
}

// nextUnfed is the place of the next message for the lanes, if there is one and room for it. It ends the detour over the spool when
// the lanes have all that was taken.
func (c *custody) nextUnfed() (seq uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.behind:
		return 0, false
	case c.unfed != none && c.unfed < c.end:
		return c.unfed, c.buffered < c.room
	case c.unread == 0:
		c.behind, c.unfed = false, none
	}
	return 0, false
}

// fromSpool makes the message at seq one for the lanes.
func (c *custody) fromSpool(seq uint64, stored danube.Message) *message {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.newMessage()
	m.Message, m.taken, m.seq, m.keeper, m.fed = stored, time.Now(), seq, keptBySpool, true
	c.unfed = seq + 1
	c.buffered += size(m)
	return m
}

// saveUntil makes durable how far the target is, now and then, and at once for those that wait for it.
func (c *custody) saveUntil(ctx context.Context) error {
	settled := c.spool.Stats().Settled
	for {
		select {
		case <-c.saveNow:
		case <-ctx.Done():
			return nil
		}
		if err := c.save(); err != nil {
			c.note(err)
			c.retrySave()
		}
		if now := c.spool.Stats().Settled; now > settled { // else nothing became free, and whoever waits for room would try for ever
			settled = now
			c.saved.give()
		}
	}
}

// retrySave tries again later.
func (c *custody) retrySave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saveSoon = true
	time.AfterFunc(spoolRetry, c.saveNow.give)
}

// done notes in the spool that m is settled, and sees to it that this is saved: soon, or at once for those that wait for it. The
// custody is locked.
func (c *custody) done(m *message) {
	c.spool.Done(m.seq)
	switch {
	case c.waiting > 0:
		c.saveNow.give()
	case !c.saveSoon:
		c.saveSoon = true
		time.AfterFunc(saveEvery, c.saveNow.give)
	}
}

// save makes durable how far the target is, and acknowledges what waits for that.
func (c *custody) save() error {
	c.mu.Lock()
	c.saveSoon = false
	c.mu.Unlock()
	if err := c.spool.Save(); err != nil {
		return err
	}
	var acks []danube.Delivery
	c.mu.Lock()
	c.clean = c.changing == 0 && c.err == nil && c.spool.Clean()
	if c.clean && c.waiting > 0 {
		c.waiting = 0
		for m := c.held.head; m != nil; {
			next := m.next
			if m.settled {
				acks = append(acks, m.Delivery)
				c.release(m)
			}
			m = next
		}
	}
	c.mu.Unlock()
	for _, d := range acks {
		c.broker.Ack(d)
	}
	return nil
}

// finish makes durable what is settled, and acknowledges what waited for that.
func (c *custody) finish() error {
	if c.spool == nil {
		return nil
	}
	return c.save()
}

func (c *custody) close() error {
	if c.spool == nil {
		return nil
	}
	return c.spool.Close()
}

// collectors are the figures of the spool.
func (c *custody) collectors(labels prometheus.Labels) []prometheus.Collector {
	if c.spool == nil {
		return nil
	}
	gauge := func(name, help string, of func(spool.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels},
			func() float64 { return of(c.spool.Stats()) })
	}
	return []prometheus.Collector{
		gauge("spool_messages", "Messages that wait in the spool.", func(s spool.Stats) float64 { return float64(s.Waiting()) }),
		gauge("spool_bytes", "Bytes that the spool has on disk, settled messages that are not removed yet included.",
			func(s spool.Stats) float64 { return float64(s.Bytes) }),
	}
}

// none is the place of no message.
const none = ^uint64(0)
