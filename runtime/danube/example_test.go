package danube_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// startBroker serves a broker on free ports of this machine, one that is as treacherous as the real one.
func startBroker() (*danubetest.Broker, func()) {
	b, err := danubetest.New(danubetest.Imitate("v0.15"))
	if err != nil {
		log.Fatal(err)
	}
	var ports [2]net.Listener
	for i := range ports {
		if ports[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			log.Fatal(err)
		}
	}
	if err := b.Serve(ports[0], ports[1]); err != nil {
		log.Fatal(err)
	}
	return b, b.Close
}

// A producer names the schema of its messages, and a consumer gets the definition by what a message names.
func ExampleClient_Schemas() {
	broker, stop := startBroker()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := danube.New(broker.URL())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	schemas := client.Schemas()
	const order = `{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}`
	if _, err := schemas.Register(ctx, danube.NewSchema{Subject: "order", Type: danube.SchemaJSON, Definition: order}); err != nil {
		log.Fatal(err)
	}
	p, err := client.NewProducer(danube.ProducerSettings{
		Topic: "/default/orders", Name: "shop", Reliable: true, Schema: danube.SchemaReference{Subject: "order"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	if err := p.Register(ctx); err != nil {
		log.Fatal(err)
	}
	c, err := client.NewConsumer(danube.ConsumerSettings{Topic: "/default/orders", Subscription: "billing", Name: "billing-1"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for c.Health() != nil && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := p.Send(ctx, danube.Message{Payload: []byte(`{"id":7}`)}); err != nil {
		log.Fatal(err)
	}
	d, err := c.Receive(ctx)
	if err != nil {
		log.Fatal(err)
	}
	s, err := schemas.Version(ctx, d.SchemaID, d.SchemaVersion) // asks the broker the first time only
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s has version %d of %s:\n%s\n", d.Payload, s.Version, s.Subject, s.Definition)
	// Output:
	// {"id":7} has version 1 of order:
	// {"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}
}

// The topic comes before that of its dead letters, and the failure policy before the first consumer.
func ExampleNewAdmin() {
	broker, stop := startBroker()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	admin, err := danube.NewAdmin(broker.AdminURL())
	if err != nil {
		log.Fatal(err)
	}
	defer admin.Close()

	for _, topic := range []danube.NewTopic{
		{Name: "/default/orders", Partitions: 4, Reliable: true},
		{Name: "/default/orders-dlq", Reliable: true},
	} {
		if err := admin.CreateTopic(ctx, topic); err != nil && !errors.Is(err, danube.ErrExists) {
			log.Fatal(err)
		}
	}
	policy := danube.FailurePolicy{
		AckTimeout: time.Hour, MaxRedeliveries: 1000, BaseDelay: time.Second, MaxDelay: time.Minute,
		Poison: danube.PoisonDeadLetter, DeadLetterTopic: "/default/orders-dlq",
	}
	if err := admin.SetFailurePolicy(ctx, "/default/orders", "billing", policy); err != nil {
		log.Fatal(err)
	}
	topics, err := admin.Topics(ctx, "default")
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range topics {
		fmt.Println(t.Name, t.Partitions)
	}
	fmt.Println(admin.Unsubscribe(ctx, "/default/orders", "none"))
	// Output:
	// /default/orders [0 1 2 3]
	// /default/orders-dlq []
	// unsubscribe none from /default/orders: there is no such subscription (NotFound)
}

// A number that the broker does not tell is not 0.
func ExampleGauges() {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `danube_subscription_lag_messages{topic="/default/orders-part-0",subscription="billing"} 12
danube_subscription_lag_messages{topic="/default/orders-part-1",subscription="billing"} 3
`)
	}))
	defer prometheus.Close()
	gauges, err := danube.NewGauges(prometheus.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	reading, err := gauges.Read(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	sum := reading.Sum("/default/orders", "billing")
	fmt.Println("lag:", sum.Lag.Value, sum.Lag.Told)
	fmt.Println("blocked:", sum.Blocked.Value, sum.Blocked.Told)
	for _, p := range reading.Partitions("/default/orders", "billing") {
		fmt.Println("lag of partition", p.Partition, "is", p.Lag.Value)
	}
	// Output:
	// lag: 15 true
	// blocked: 0 false
	// lag of partition 0 is 12
	// lag of partition 1 is 3
}
