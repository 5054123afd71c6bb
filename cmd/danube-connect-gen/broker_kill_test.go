package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/danube-messaging/danube-connect-go/runtime/danube/danubepb"
)

// How many times TestKilledBroker kills the broker, and what decides when. DANUBE_KILL_POINTS and DANUBE_KILL_SEED change them.
const (
	killPoints = 10
	killSeed   = 1
)

func envNumber(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// A brokerProcess is the command in a process of its own.
type brokerProcess struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	conn   *grpc.ClientConn
	danubepb.ProducerServiceClient
	danubepb.ConsumerServiceClient
}

func startBrokerProcess(t *testing.T, dir string) *brokerProcess {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &brokerProcess{cmd: exec.Command(self, "broker", "--listen", "127.0.0.1:0", "--admin-listen", "", "--http", "", "--window", "10000", "--data-dir", dir)}
	p.cmd.Args[0] = "danube-connect-gen" // TestMain runs the command under this name
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it may be dead already
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, "the broker did not start: %s", &p.stderr)
	url := strings.TrimSpace(strings.TrimPrefix(line, "broker ready: http://"))
	p.conn, err = grpc.NewClient(url, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	p.ProducerServiceClient = danubepb.NewProducerServiceClient(p.conn)
	p.ConsumerServiceClient = danubepb.NewConsumerServiceClient(p.conn)
	return p
}

// kill is kill -9.
func (p *brokerProcess) kill(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Kill() // load may have killed it already
	require.Error(t, p.cmd.Wait(), "it ended by itself: %s", &p.stderr)
	require.NoError(t, p.conn.Close())
	require.Empty(t, p.stderr.String())
}

const (
	killTopic = "/default/killed"
	killLanes = 8 // so many publishes are under way at once, each lane one after the other
)

// A ledger is what the clients of a broker that is killed again and again know.
type ledger struct {
	mu        sync.Mutex
	confirmed map[string]bool   // messages whose publish was answered
	sent      map[string]bool   // all that were tried
	log       []string          // what the topic holds, by offset, as far as it was checked
	settled   map[uint64]bool   // offsets that the worker has acknowledged, with an answer
	next      [killLanes]int    // of each lane
	acks      map[uint64]string // what the worker was given, by offset
}

func newLedger() *ledger {
	return &ledger{confirmed: map[string]bool{}, sent: map[string]bool{}, settled: map[uint64]bool{}, acks: map[uint64]string{}}
}

// TestKilledBroker kills the broker while messages are published and acknowledged, starts it again and looks: every message whose
// publish was answered is there, in the order of its lane, once; what was not acknowledged comes again.
func TestKilledBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	points, seed := envNumber(t, "DANUBE_KILL_POINTS", killPoints), envNumber(t, "DANUBE_KILL_SEED", killSeed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	l := newLedger()
	again := 0
	p := startBrokerProcess(t, dir)
	producer := p.register(t)
	for _, subscription := range []string{"audit", "worker"} {
		p.subscribe(t, subscription)
	}
	for point := range points {
		l.load(t, p, producer, 1+random.IntN(400), time.Duration(random.IntN(3000))*time.Microsecond, func() {
			require.NoError(t, p.cmd.Process.Kill())
		})
		p.kill(t)
		p = startBrokerProcess(t, dir)
		producer = p.register(t)
		before := len(l.log)
		again += l.verify(t, p, producer)
		require.Greater(t, len(l.log), before, "nothing was published before kill %d", point)
	}
	p.kill(t)
	t.Logf("seed %d: %d kills survived, %d messages in the log, %d confirmed, %d given to the worker again after their acknowledgement",
		seed, points, len(l.log), len(l.confirmed), again)
}

func (p *brokerProcess) register(t *testing.T) uint64 {
	t.Helper()
	resp, err := p.CreateProducer(t.Context(), &danubepb.ProducerRequest{
		ProducerName: "p", TopicName: killTopic, DispatchStrategy: danubepb.DispatchStrategy_Reliable,
	})
	require.NoError(t, err)
	return resp.GetProducerId()
}

func (p *brokerProcess) subscribe(t *testing.T, subscription string) uint64 {
	t.Helper()
	resp, err := p.Subscribe(t.Context(), &danubepb.ConsumerRequest{TopicName: killTopic, Subscription: subscription, ConsumerName: "c"})
	require.NoError(t, err)
	return resp.GetConsumerId()
}

func (p *brokerProcess) publish(ctx context.Context, producer uint64, id string) error {
	_, err := p.SendMessage(ctx, &danubepb.StreamMessage{
		MsgId:        &danubepb.MsgID{ProducerId: producer, TopicName: killTopic, BrokerAddr: "b"},
		ProducerName: "p", Payload: []byte(id + strings.Repeat(".", len(id)*37%900)),
	})
	return err
}

func idOf(m *danubepb.StreamMessage) string { return strings.TrimRight(string(m.GetPayload()), ".") }

// load publishes on all lanes and acknowledges what the worker gets, until so many publishes were answered, and a moment longer. Then, in
// the midst of it, end ends the broker.
func (l *ledger) load(t *testing.T, p *brokerProcess, producer uint64, answers int, longer time.Duration, end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var answered atomic.Int64
	enough := make(chan struct{})
	var running sync.WaitGroup
	for lane := range killLanes {
		running.Go(func() {
			for ctx.Err() == nil {
				l.mu.Lock()
				id := fmt.Sprintf("%d-%d", lane, l.next[lane])
				l.next[lane]++
				l.sent[id] = true
				l.mu.Unlock()
				if err := p.publish(ctx, producer, id); err != nil {
					return // perhaps stored and perhaps not
				}
				l.mu.Lock()
				l.confirmed[id] = true
				l.mu.Unlock()
				if answered.Add(1) == int64(answers) {
					close(enough)
				}
			}
		})
	}
	stream, err := p.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: p.subscribe(t, "worker")})
	require.NoError(t, err)
	running.Go(func() { l.work(ctx, p, stream) })
	<-enough
	<-time.After(longer)
	end()
	stop()
	running.Wait()
}

// work acknowledges two of three messages, out of order.
func (l *ledger) work(ctx context.Context, p *brokerProcess, stream grpc.ServerStreamingClient[danubepb.StreamMessage]) {
	var held []*danubepb.StreamMessage
	for {
		m, err := stream.Recv()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.acks[m.GetMsgId().GetTopicOffset()] = idOf(m)
		l.mu.Unlock()
		if held = append(held, m); len(held) < 3 {
			continue
		}
		for _, m := range []*danubepb.StreamMessage{held[2], held[0]} {
			if err := p.ack(ctx, "worker", m); err != nil {
				return
			}
			l.mu.Lock()
			l.settled[m.GetMsgId().GetTopicOffset()] = true
			l.mu.Unlock()
		}
		held = held[:0]
	}
}

func (p *brokerProcess) ack(ctx context.Context, subscription string, m *danubepb.StreamMessage) error {
	_, err := p.Ack(ctx, &danubepb.AckRequest{MsgId: m.GetMsgId(), SubscriptionName: subscription})
	return err
}

// verify reads all that two subscriptions are given after a restart. It returns how many of the worker's came again although they
// had been acknowledged.
func (l *ledger) verify(t *testing.T, p *brokerProcess, producer uint64) (again int) {
	t.Helper()
	marker := fmt.Sprintf("marker-%d", len(l.log))
	require.NoError(t, p.publish(t.Context(), producer, marker))
	l.sent[marker], l.confirmed[marker] = true, true
	for _, m := range l.drain(t, p, "audit", marker) {
		at, next := m.GetMsgId().GetTopicOffset(), len(l.log)
		if at < uint64(next) { // its acknowledgement was too young to be on disk
			require.Equal(t, l.log[at], idOf(m))
			continue
		}
		require.Equal(t, uint64(next), at, "an offset is missing")
		l.log = append(l.log, idOf(m))
	}
	l.check(t)

	given := make(map[uint64]bool)
	for _, m := range l.drain(t, p, "worker", marker) {
		at := m.GetMsgId().GetTopicOffset()
		require.Equal(t, l.log[at], idOf(m))
		given[at] = true
		if l.settled[at] {
			again++
		}
	}
	for at := range uint64(len(l.log)) {
		require.True(t, given[at] || l.settled[at], "offset %d was not acknowledged and does not come again", at)
		l.settled[at] = true // drain has acknowledged it
	}
	for at, id := range l.acks {
		require.Equal(t, l.log[at], id, "the worker was given a message that is not in the log")
	}
	return again
}

// check compares the log with what the producers know.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	seen := make(map[string]bool)
	last := make(map[string]int)
	for _, id := range l.log {
		require.True(t, l.sent[id], "%q was never sent", id)
		require.False(t, seen[id], "%s is there twice", id)
		seen[id] = true
		lane, number, _ := strings.Cut(id, "-")
		n, err := strconv.Atoi(number)
		require.NoError(t, err)
		if before, ok := last[lane]; ok {
			require.Greater(t, n, before, "lane %s is out of order", lane)
		}
		last[lane] = n
	}
	for id := range l.confirmed {
		require.True(t, seen[id], "%s was confirmed and is lost", id)
	}
}

// drain reads a subscription up to the marker, in order, and acknowledges all of it.
func (l *ledger) drain(t *testing.T, p *brokerProcess, subscription, marker string) []*danubepb.StreamMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := p.ReceiveMessages(ctx, &danubepb.ReceiveRequest{ConsumerId: p.subscribe(t, subscription)})
	require.NoError(t, err)
	var all []*danubepb.StreamMessage
	for len(all) == 0 || idOf(all[len(all)-1]) != marker {
		m, err := stream.Recv()
		require.NoError(t, err, "%s ended before %s; %s", subscription, marker, &p.stderr)
		all = append(all, m)
		require.NoError(t, p.ack(ctx, subscription, m))
	}
	require.True(t, slices.IsSortedFunc(all, func(a, b *danubepb.StreamMessage) int {
		return int(int64(a.GetMsgId().GetTopicOffset()) - int64(b.GetMsgId().GetTopicOffset()))
	}), "%s was not given in order", subscription)
	return all
}
