package danube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

// creationTime is how long a topic with too few partitions is watched, from the last one that came, before it is believed to have no
// more: another producer may be making them. A cluster needs about 110 ms for each.
const creationTime = 2 * time.Second

// An agreement sees to it that a producer and its topic mean the same partitions. The broker does not know how many a topic has, and a
// producer that counts others than the rest sends keys to the wrong ones.
type agreement struct {
	producer *Producer
	turn     chan struct{} // holds one element while somebody looks

	settled bool // they were the same once, or the topic did not exist: what is missing is made
	seen    int  // how many there were at the last look
	changed time.Time
}

// reach returns nil once the partitions that exist are those of the producer. It makes them all, in order, if there are none: a topic
// of which only the partitions in use exist would look like one with fewer. It is asked at each registration, since a broker may have
// lost its memory before.
func (a *agreement) reach(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	p := a.producer
	parts, err := p.client.partitions(ctx, p.settings.Topic)
	if errors.Is(err, ErrDenied) {
		p.client.log.Warn("there is no right to list the topic's partitions, so their number is not checked",
			zap.String("topic", p.settings.Topic), zap.Error(err))
		return nil
	}
	if err != nil {
		return err
	}
	err = a.compare(parts)
	if IsPermanent(err) && a.settled {
		p.client.log.Warn("the topic's partitions have changed under the producer", zap.Error(err))
		return nil
	}
	if err != nil {
		return err
	}
	a.settled = true
	return a.make(ctx, parts)
}

// compare says how the partitions that exist differ from the producer's.
func (a *agreement) compare(parts []int) error {
	want := a.producer.settings.Partitions
	switch {
	case len(parts) == 0:
		return nil
	case parts[0] < 0 && want == 0:
		return nil
	case parts[0] < 0:
		return a.differ(fmt.Sprintf("the topic has no partitions and the producer is to use %d", want), "set partitions to 0", true)
	}
	have := parts[len(parts)-1] + 1
	missing := missingIn(parts)
	text := fmt.Sprintf("the topic has %d partitions and the producer is to use %d", have, want)
	if missing != "" {
		text = fmt.Sprintf("the topic has partitions up to %d without %s and the producer is to use %d", have-1, missing, want)
	}
	mend := fmt.Sprintf("set partitions to %d", have)
	switch {
	case have > want:
		return a.differ(text, mend, true)
	case len(parts) == want, a.settled:
		return nil
	}
	if len(parts) != a.seen {
		a.seen, a.changed = len(parts), time.Now()
	}
	return a.differ(text, mend+", or create the others through the admin API", time.Since(a.changed) >= creationTime)
}

func (a *agreement) differ(text, mend string, permanent bool) error {
	return &Error{
		Op: opCreate, Topic: a.producer.settings.Topic, Code: codes.FailedPrecondition, Kind: ErrMismatch, Permanent: permanent,
		Text: text + ", so that keys would go to other partitions than those of others", Mend: mend,
	}
}

// make registers the producer in all partitions that do not exist, which creates them.
func (a *agreement) make(ctx context.Context, exist []int) error {
	if a.producer.settings.Partitions == 0 {
		return nil
	}
	there := make(map[int]bool, len(exist))
	for _, i := range exist {
		there[i] = true
	}
	for i, l := range a.producer.lanes {
		if there[i] {
			continue
		}
		_, err := l.create(ctx)
		if err = wrap(opCreate, l.topic, err); err != nil && !isBeingMade(err) {
			return err
		}
	}
	return nil
}

// isBeingMade tells whether err is a cluster's answer to whoever made a topic.
func isBeingMade(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == codes.Unavailable && strings.Contains(e.Text, metadataCreated)
}
