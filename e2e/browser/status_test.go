package browser

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb/adminpb"
	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// program is the browser that the environment names.
func program(t *testing.T) string {
	t.Helper()
	p := os.Getenv("E2E_CHROMIUM")
	if p == "" {
		t.Skip("E2E_CHROMIUM names no browser; run e2e/run browser")
	}
	return p
}

const (
	orders = "/default/orders"
	evil   = evilName + `<script>document.title='owned'</script>`
	// evilName has no slash, which names of producers must not have.
	evilName = `<img src=x onerror="document.title='owned'">`
)

// A stage is a broker with clients that do something.
type stage struct {
	t      *testing.T
	broker *danubetest.Broker
	client *danube.Client
}

func newStage(t *testing.T, opts ...danubetest.Option) *stage {
	t.Helper()
	b := danubetest.Start(t, opts...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.ServeStatus(l))
	c, err := danube.New(b.URL())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return &stage{t: t, broker: b, client: c}
}

func (s *stage) producer(topic, name string) *danube.Producer {
	s.t.Helper()
	p, err := s.client.NewProducer(danube.ProducerSettings{Topic: topic, Name: name, Reliable: true})
	require.NoError(s.t, err)
	require.NoError(s.t, p.Register(s.t.Context()))
	return p
}

func (s *stage) send(p *danube.Producer, m danube.Message) {
	s.t.Helper()
	require.NoError(s.t, p.Send(s.t.Context(), m))
}

// consumer attaches to a subscription.
func (s *stage) consumer(topic, subscription, name string, kind danube.SubscriptionType) *danube.Consumer {
	s.t.Helper()
	k, err := s.client.NewConsumer(danube.ConsumerSettings{Topic: topic, Subscription: subscription, Name: name, Type: kind})
	require.NoError(s.t, err)
	s.t.Cleanup(k.Close)
	s.waitFor(func() bool {
		st, _ := s.broker.Subscription(topic, subscription)
		return len(st.Connected) > 0
	})
	return k
}

func (s *stage) waitFor(met func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.broker.WaitFor(ctx, met))
}

// flow publishes and consumes until the test ends.
func (s *stage) flow(topic string) {
	p := s.producer(topic, "till")
	k := s.consumer(topic, "billing", "worker-1", danube.Exclusive)
	ctx, stop := context.WithCancel(s.t.Context())
	var clients sync.WaitGroup
	clients.Go(func() {
		for ctx.Err() == nil {
			if d, err := k.Receive(ctx); err == nil {
				k.Ack(d)
			}
		}
	})
	clients.Go(func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			_ = p.Send(ctx, danube.Message{ // a fault may refuse it
				Key: fmt.Sprint("customer-", i%3), Attributes: map[string]string{"content-type": "application/json", "trace": "4bf92f3577b34da6"},
				Payload: fmt.Appendf(nil, `{"order":%d,"total":%d.5,"items":[{"sku":"A-1","n":2},{"sku":"Ä-2","n":1}]}`, i, i*3),
			})
			<-pace.C
		}
	})
	s.t.Cleanup(func() { stop(); clients.Wait() })
}

// block makes a Key-Shared subscription whose key "poison" is blocked.
func (s *stage) block(topic string) {
	p := s.producer(topic, "till")
	k := s.consumer(topic, "by-key", "worker-1", danube.KeyShared)
	s.send(p, danube.Message{Key: "poison", Payload: []byte("never good enough")})
	d, err := k.Receive(s.t.Context())
	require.NoError(s.t, err)
	conn, err := grpc.NewClient(strings.TrimPrefix(s.broker.URL(), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	defer conn.Close()
	_, err = danubepb.NewConsumerServiceClient(conn).Nack(s.t.Context(), &danubepb.NackRequest{
		MsgId: &danubepb.MsgID{TopicName: topic, TopicOffset: d.Offset}, SubscriptionName: "by-key",
	})
	require.NoError(s.t, err)
	s.waitFor(func() bool {
		st, _ := s.broker.Subscription(topic, "by-key")
		return st.Blocked
	})
}

// The page shows what the broker does, as it changes, and runs no markup that clients sent.
func TestE2EStatusPage(t *testing.T) {
	browser := startChromium(t, program(t))
	s := newStage(t, danubetest.Policy(danubetest.FailurePolicy{AckTimeout: time.Hour}))
	shots := os.Getenv("E2E_SHOTS")

	empty := browser.open(s.broker.StatusURL(), screen{width: 360, height: 800})
	empty.until(`document.querySelector("#health").textContent === "live"`)
	empty.until(`document.body.innerText.includes("No topics yet") && document.body.innerText.includes("No subscriptions.")`)
	empty.shoot(shots, "empty-360-light")

	s.flow(orders)
	s.block("/default/keyed")
	s.consumer(orders, "audit", "auditor", danube.Exclusive) // reads nothing, so that its window is full
	p := s.producer("/default/mixed", evilName)
	s.send(p, danube.Message{Key: evil, Attributes: map[string]string{evil: evil}, Payload: []byte(evil)})
	s.send(p, danube.Message{Payload: []byte{0, 1, 2, 0xff, 'D', 'a', 'n', 'u', 'b', 'e'}})
	s.send(p, danube.Message{Payload: []byte(strings.Repeat("a long line of text, ", 40))})
	s.send(p, danube.Message{})
	s.waitFor(func() bool {
		_, ok := s.broker.Subscription(orders, "audit")
		return ok && s.broker.Unacked(orders, "audit") == 10
	})
	s.broker.Refuse("Nack", codes.Internal, 3)
	s.broker.CutOff("10.1.2.3:4567")

	for _, at := range []screen{
		{360, 800, false}, {360, 800, true}, {768, 1024, false}, {900, 900, true}, {1520, 900, false}, {1600, 1000, false}, {1600, 1000, true},
	} {
		page := browser.open(s.broker.StatusURL()+"#"+orders, at)
		showsAll(page)
		fits(page, at)
		page.shoot(shots, at.String())
	}
	mixed := browser.open(s.broker.StatusURL()+"#/default/mixed", screen{width: 1600, height: 1000})
	showsHostileContent(mixed)
	mixed.shoot(shots, "mixed-1600-light")
	require.Empty(t, browser.complaints())
}

// showsAll checks everything that stage put on the page, and leaves the newest message open.
func showsAll(page *page) {
	page.c.t.Helper()
	page.until(`[...document.querySelectorAll("#topics tbody tr")].length === 3`)
	page.until(`/^\d+(\.\d)?\/s$/.test(document.querySelector('#topics tr[data-key="/default/orders"]').children[3].innerText) &&
		document.querySelector('#topics tr[data-key="/default/orders"]').children[3].innerText !== "0/s"`)
	page.until(`document.querySelector('#subs tr[data-key="/default/orders audit"]').innerText.includes("10 / 10")`)
	page.until(`document.querySelector('#subs tr[data-key="/default/orders audit"]').innerText.includes("window full")`)
	page.until(`document.querySelector('#subs tr[data-key="/default/orders billing"]').innerText.includes("worker-1")`)
	page.until(`document.querySelector('#subs tr[data-key="/default/keyed by-key"]').innerText.includes('blocked: key "poison"')`)
	page.until(`document.querySelectorAll("#messages li").length === 20`)
	page.until(`document.querySelector("#on").innerText.includes("calls end with Internal, 3 left")`)
	page.eval(`document.querySelector("#follow").click(); document.querySelector("#messages details").open = true; 1`, nil)
	page.until(`document.querySelector("#messages pre").innerText.includes('  "items": [')`)
	page.until(`document.querySelector("#messages dl").innerText.includes("4bf92f3577b34da6")`)
}

// fits checks that nothing is out of sight, and that the page is as light or dark as the user likes it.
func fits(page *page, at screen) {
	page.c.t.Helper()
	var width int
	page.eval(`document.documentElement.scrollWidth`, &width)
	require.LessOrEqual(page.c.t, width, at.width, "the page scrolls sideways on %v", at)
	var cut []string
	page.eval(`[...document.querySelectorAll("section, th, td, button")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)`, &cut)
	require.Empty(page.c.t, cut, "parts of the page are out of sight on %v", at)
	var background string
	page.eval(`getComputedStyle(document.body).backgroundColor`, &background)
	require.Equal(page.c.t, map[bool]string{true: "rgb(16, 22, 28)", false: "rgb(245, 247, 249)"}[at.dark], background)
}

// showsHostileContent checks that markup which a client sent is shown as what it is.
func showsHostileContent(page *page) {
	page.c.t.Helper()
	page.until(`document.querySelectorAll("#messages li").length === 4`)
	page.eval(`document.querySelectorAll("#messages details").forEach(d => d.open = true); 1`, nil)
	page.until(`document.querySelector("#messages").innerText.includes("00 01 02 ff 44 61 6e 75")`)
	page.until(`document.querySelector("#messages").innerText.includes("(empty)")`)
	var payload string
	page.eval(`[...document.querySelectorAll("#messages pre")].at(-1).textContent`, &payload)
	require.Equal(page.c.t, evil, payload)
	var elements int
	page.eval(`document.querySelectorAll("#messages img, #messages script, #subs img, #topics img").length`, &elements)
	require.Zero(page.c.t, elements, "what a client sent became markup")
	var title string
	page.eval(`document.title`, &title)
	require.Equal(page.c.t, "Danube development broker", title)
}

// The page shows which traps are switched on, by the name and sentence of the list of traps, or that there are none.
func TestE2ETraps(t *testing.T) {
	browser := startChromium(t, program(t))
	friendly := newStage(t)
	page := browser.open(friendly.broker.StatusURL(), screen{width: 900, height: 900})
	page.until(`document.querySelector("#health").textContent === "live"`)
	page.until(`document.querySelector("#traps-count").innerText === "none switched on" && document.querySelector("#traps-on").innerText === "none"`)
	page.until(`document.querySelector("#traps-none").innerText.includes("--imitate v0.15") && !document.querySelector("#traps").offsetParent`)

	s := newStage(t, danubetest.Imitate("v0.15"))
	var want [][]string
	for _, trap := range danubetest.Traps() {
		if trap.Name != "metadata-limit" { // goes by name only
			want = append(want, []string{trap.Name, trap.Summary + "."})
		}
	}
	for _, at := range []screen{{360, 800, false}, {360, 800, true}, {900, 900, true}, {1600, 1000, false}, {1600, 1000, true}} {
		page := browser.open(s.broker.StatusURL(), at)
		page.until(`document.querySelector("#traps").offsetParent && !document.querySelector("#traps-none").offsetParent`)
		var shown [][]string
		page.eval(`[...document.querySelectorAll("#traps > div")].map(e => [...e.children].map(c => c.innerText))`, &shown)
		require.Equal(t, want, shown)
		page.until(fmt.Sprintf(`document.querySelector("#traps-count").innerText === "%d switched on"`, len(want)))
		page.until(fmt.Sprintf(`document.querySelector("#traps-on").innerText === "%d"`, len(want)))
		page.until(fmt.Sprintf(`document.querySelector("#announce").textContent.includes("%d traps switched on.")`, len(want)))
		fits(page, at)
		page.shoot(os.Getenv("E2E_SHOTS"), "traps-"+at.String())
	}
	require.Empty(t, browser.complaints())
}

// Faults are switched on and off by keyboard, and the page says what came of it.
func TestE2EFaultsByKeyboard(t *testing.T) {
	browser := startChromium(t, program(t))
	s := newStage(t)
	s.flow(orders)
	page := browser.open(s.broker.StatusURL()+"#"+orders, screen{width: 1200, height: 900})
	page.until(`document.querySelectorAll("#subs tbody tr").length === 1`)

	// every control has a name and can be reached
	var nameless []string
	page.eval(`[...document.querySelectorAll("button, input, select, a")].filter(e =>
		!(e.labels?.length || e.ariaLabel || e.textContent.trim())).map(e => e.outerHTML)`, &nameless)
	require.Empty(t, nameless)

	page.eval(`document.querySelector("#kind").value = "lose-acks"; document.querySelector("#kind").dispatchEvent(new Event("change")); 1`, nil)
	var visible []string
	page.eval(`[...document.querySelectorAll("#form [data-field]")].filter(e => e.offsetParent).map(e => e.dataset.field)`, &visible)
	require.Equal(t, []string{"topic", "subscription", "count"}, visible)
	page.eval(`document.querySelector("[name=subscription]").value = "none"; document.querySelector("[name=subscription]").focus(); 1`, nil)
	page.key("Enter", 13)
	page.until(`document.querySelector("#said").textContent === "Refused: there is no topic /default/orders, subscription none."`)

	page.eval(`document.querySelector("[name=subscription]").value = "billing"; document.querySelector("[name=count]").value = "-1"; 1`, nil)
	page.key("Enter", 13)
	page.until(`document.querySelector("#said").textContent.startsWith("Done: acknowledgements of billing")`)
	page.until(`document.querySelector("#on").innerText.includes("lose-acks")`)
	require.Equal(t, "lose-acks", s.broker.Faults()[0].Kind)

	page.eval(`document.querySelector("#on button").focus(); 1`, nil)
	page.key("Enter", 13)
	page.until(`document.querySelector("#on").children.length === 0`)
	require.Empty(t, s.broker.Faults())

	// the broker is gone: the page says so and does not lose what it showed
	s.broker.Close()
	page.until(`document.querySelector("#health").textContent === "no answer"`)
	page.until(`document.querySelector("#announce").textContent === "The broker gives no answer."`)
	var rows int
	page.eval(`document.querySelectorAll("#subs tbody tr").length`, &rows)
	require.Equal(t, 1, rows)
}

// Many topics do not make the page slow, and the filter finds each of them.
func TestE2EFilterAmongManyTopics(t *testing.T) {
	browser := startChromium(t, program(t))
	s := newStage(t)
	conn, err := grpc.NewClient(strings.TrimPrefix(s.broker.AdminURL(), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	_, err = adminpb.NewTopicAdminClient(conn).CreatePartitionedTopic(t.Context(), &adminpb.PartitionedTopicRequest{
		BaseName: orders, Partitions: 1000, DispatchStrategy: adminpb.DispatchStrategy_Reliable,
	})
	require.NoError(t, err)
	page := browser.open(s.broker.StatusURL(), screen{width: 1600, height: 1000})
	page.until(`document.querySelectorAll("#topics tbody tr").length === 200`)
	page.until(`document.querySelector("#topics-count").textContent === "200 of 1,000"`)
	page.eval(`document.querySelector("#filter").value = "PART-999"; document.querySelector("#filter").dispatchEvent(new Event("input")); 1`, nil)
	page.until(`document.querySelector("#topics tbody").innerText.startsWith("/default/orders-part-999")`)
	page.until(`document.querySelector("#topics-count").textContent === "1 of 1,000"`)
	page.eval(`document.querySelector("#topics tbody a").focus(); 1`, nil)
	page.key("Enter", 13)
	page.until(`document.querySelector("#messages-topic").textContent === "/default/orders-part-999"`)
	page.until(`document.querySelector("#topics tbody a").getAttribute("aria-current") === "true"`)
	page.until(`document.querySelector("#messages-none").textContent === "No messages are kept."`)
}
