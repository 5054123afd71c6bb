// Package subscription stands between the Danube client and a sink: the place for what one consumer cannot know or mend by itself.
package subscription

import (
	"context"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
)

// A Consumer is what a sink needs of a [danube.Consumer]. Each method promises what the client's method of that name does.
type Consumer interface {
	Receive(ctx context.Context) (danube.Delivery, error)
	Ack(d danube.Delivery)
	Flush(ctx context.Context) error
	Pause(reason error)
	Resume()
	Held() int
	OldestHeld() time.Time
	Health() error
	States() []danube.SubscriptionState
	Changed() <-chan struct{}
	Stats() danube.Stats
	Close()
}

// Settings say what a subscription reads.
type Settings struct {
	danube.ConsumerSettings
}

// A Subscription is a topic read under one name. Its methods may be called concurrently, and go to the one consumer that it has.
type Subscription struct {
	Consumer
}

// Open starts reading. Like [danube.Client.NewConsumer] it only checks the settings, and what it started runs until Close.
func Open(client *danube.Client, s Settings) (*Subscription, error) {
	consumer, err := client.NewConsumer(s.ConsumerSettings)
	if err != nil {
		return nil, err
	}
	return &Subscription{Consumer: consumer}, nil
}

var (
	_ Consumer = (*danube.Consumer)(nil)
	_ Consumer = (*Subscription)(nil)
)
