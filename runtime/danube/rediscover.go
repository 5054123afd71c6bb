package danube

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/backoff"
)

// defaultRediscover is how often a consumer looks for new partitions.
const defaultRediscover = 30 * time.Second

// read begins to read those of the partitions that are not read yet, and returns them.
func (k *Consumer) read(ctx context.Context, parts []int) []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := make(map[int]bool, len(k.subs))
	for _, s := range k.subs {
		known[s.partition] = true
	}
	subs := k.subs[:len(k.subs):len(k.subs)] // others may be looking at it
	var added []int
	for _, i := range parts {
		if known[i] {
			continue
		}
		s := newSubscription(k, i)
		subs, added = append(subs, s), append(added, i)
		k.wg.Go(func() { s.run(ctx) })
	}
	k.subs = subs
	return added
}

// rediscover looks for new partitions until ctx is done: the broker tells nobody of them.
func (k *Consumer) rediscover(ctx context.Context, parts []int) {
	every := k.settings.Rediscover
	if every == 0 {
		every = defaultRediscover
	}
	if every < 0 {
		return
	}
	log := k.client.log.With(zap.String("topic", k.settings.Topic), zap.String("subscription", k.settings.Subscription))
	missing := ""
	pace := backoff.Policy{Base: every, Max: 2 * every}
	for {
		if now := missingIn(parts); now != missing {
			missing = now
			log.Warn("partitions are not numbered without gaps: keys of producers that count them go to others than they should",
				zap.String("missing", now))
		}
		if pace.Wait(ctx, 1) != nil {
			return
		}
		found, err := k.client.partitions(ctx, k.settings.Topic)
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("looking for new partitions failed", zap.Error(err))
			}
			continue
		}
		parts = found
		if added := k.read(ctx, parts); len(added) > 0 {
			k.poke()
			log.Info("new partitions are read from now on; the broker does not deliver what was published to them before", zap.Ints("partitions", added))
		}
	}
}

// missingIn tells which numbers lack in ascending partition numbers from 0, as ranges such as "0, 3-5"; empty when none does.
func missingIn(parts []int) string {
	var ranges []string
	next := 0
	for _, i := range parts {
		switch {
		case i < 0: // a plain topic
			return ""
		case i == next+1:
			ranges = append(ranges, fmt.Sprint(next))
		case i > next:
			ranges = append(ranges, fmt.Sprintf("%d-%d", next, i-1))
		}
		next = i + 1
	}
	return strings.Join(ranges, ", ")
}
